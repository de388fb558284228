"""Words that open a new clause, per language; the segmenter cuts before them."""

CONTRAST: dict[str, str] = {
    "en": "but however although though except yet whereas unfortunately",
    "fr": "mais cependant toutefois pourtant sauf hormis malheureusement néanmoins",
    "de": "aber jedoch allerdings sondern trotzdem leider außer obwohl dafür",
    "es": "pero aunque sino excepto salvo lamentablemente",
    "pt": "mas porém contudo entretanto embora exceto infelizmente",
    "it": "ma però tuttavia purtroppo tranne invece",
    "nl": "maar echter hoewel helaas alleen",
    "ca": "però", "eu": "baina", "gl": "pero mais",
    "ro": "dar însă insa deși totuși", "ru": "но однако зато хотя", "uk": "але проте однак зате хоча",
    "bg": "но обаче ама", "mk": "но ама", "sr": "ali но али međutim", "hr": "ali međutim no", "bs": "ali međutim",
    "sl": "ampak vendar toda", "cs": "ale avšak bohužel jenže", "sk": "ale avšak žiaľ",
    "pl": "ale jednak lecz niestety",
    "sv": "men dock tyvärr fast", "da": "men dog desværre", "no": "men dessverre", "is": "en",
    "fi": "mutta kuitenkin valitettavasti", "et": "aga kuid", "hu": "de viszont azonban sajnos",
    "el": "αλλά όμως ωστόσο",
    "tr": "ama fakat ancak lakin maalesef", "ar": "لكن ولكن بس الا إلا", "fa": "ولی اما", "he": "אבל אך",
    "hi": "लेकिन पर मगर lekin par magar", "mr": "पण", "id": "tapi tetapi namun sayangnya", "ms": "tapi tetapi namun",
    "jv": "nanging tapi", "su": "tapi", "vi": "nhưng", "sw": "lakini ila", "ha": "amma",
    "yo": "ṣùgbọ́n sugbon",
    "ig": "mana", "zu": "kodwa", "xh": "kodwa", "so": "laakiin", "am": "ግን", "ti": "ግን",
    "ko": "하지만 그러나 근데 그런데 다만",
    "ta": "ஆனால்", "ml": "പക്ഷേ", "pcm": "but", "tt": "ләкин әмма", "af": "maar", "rw": "ariko", "om": "garuu",
}  # fmt: skip
AND: dict[str, str] = {
    "en": "and so because plus also", "fr": "et donc car", "de": "und denn", "es": "y e porque además",
    "pt": "e porque",
    "it": "e ed perché", "nl": "en want dus", "ca": "i", "ro": "și si", "ru": "и", "uk": "і й та", "cs": "a", "sk": "a",
    "pl": "i oraz", "sv": "och", "da": "og", "no": "og", "fi": "ja", "hu": "és", "el": "και", "tr": "ve",
    "hr": "i", "sr": "i",
    "id": "dan", "ms": "dan", "vi": "và", "sw": "na", "hi": "और aur", "fa": "و", "bg": "и", "ko": "그리고",
}  # fmt: skip
UNSPACED: dict[str, str] = {
    "zh": "但是 不过 可是 然而 而且 只是 但 就是",
    "ja": "しかし でも ただし だけど けれど けど が、 ですが",
    "th": "แต่ แต่ว่า",
}
