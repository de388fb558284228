"""Which column of a foreign file is which field of a mention: a table of names, and a look at the values."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from connectors.values import Dates, as_number, as_rating, as_text, day_order
from listener.model import KIND_ALIASES, KINDS, METRICS

# Field -> names it goes by, best first; names are compared by `folded`. The field's own name always comes first.
ALIASES: Mapping[str, str] = {
    "native_id": "review_id comment_id post_id tweet_id status_id message_id response_id respondent_id ticket_id"
    " feedback_id mention_id survey_id id uuid guid identifier identifiant id_avis kennung identificador codigo",
    "text": "review_text full_text review_body comment_text review_content text review comment verbatim body content"
    " message feedback description tweet post answer opinion avis commentaire texte contenu verbatims reponse"
    " kommentar bewertungstext rezension inhalt nachricht antwort meinung comentario comentarios texto resena"
    " opinion_text contenido mensaje testo recensione commento contenuto avaliacao avaliacao_texto conteudo mensagem"
    " tekst recensie opmerking beoordeling_tekst tresc opinia komentarz wypowiedz recenzja yorum metin icerik"
    " ulasan komentar teks isi omdome kommentti arvostelu teksti текст отзыв комментарий сообщение відгук"
    " 评论 評論 内容 內容 评价 評價 正文 文本 レビュー 本文 コメント 口コミ テキスト 리뷰 내용 후기 댓글 본문"
    " نص تعليق مراجعة محتوى ข้อความ รีวิว ความคิดเห็น समीक्षा टिप्पणी noi_dung binh_luan danh_gia_text",
    "title": "review_title headline subject summary titre titel betreff titulo asunto titolo oggetto assunto"
    " tytul temat baslik judul rubrik otsikko заголовок тема 标题 標題 タイトル 件名 제목 عنوان หัวข้อ शीर्षक tieu_de",
    "published_at": "review_date comment_date post_date created_at created created_time creation_date published"
    " publication_date date_published submitted_at submission_date submit_date response_date posted_at date datetime"
    " timestamp time at date_avis date_publication date_creation date_reponse publie_le date_de_publication datum"
    " erstellt_am veroffentlicht_am fecha fecha_creacion fecha_publicacion data data_pubblicazione data_publicacao"
    " data_criacao data_dodania tarih tanggal paivamaara occurred_at дата время 日期 时间 時間 发布时间 日付 日時"
    " 投稿日 날짜 작성일 등록일 تاريخ วันที่ दिनांक तारीख ngay thoi_gian",
    "updated_at": "updated modified modified_at edited_at last_modified date_modified last_edited date_updated"
    " date_modification modifie_le aktualisiert_am geandert_am fecha_actualizacion",
    "rating": "stars star_rating review_rating review_score overall_rating score note notes etoiles nb_etoiles"
    " note_globale bewertung sterne punkte puntuacion calificacion estrellas valoracion valutazione voto stelle"
    " punteggio nota estrelas classificacao beoordeling sterren ocena gwiazdki puan yildiz bintang betyg arvosana"
    " оценка рейтинг звезды 评分 評分 星级 星級 分数 評価 点数 星 평점 별점 점수 تقييم นดาว คะแนน रेटिंग diem so_sao",
    "language": "lang locale language_code review_language langue sprache idioma lingua taal jezyk dil bahasa sprak"
    " язык 语言 語言 言語 언어 اللغة ภาษา भाषा ngon_ngu",
    "kind": "type mention_type content_type post_type",
    "channel": "platform network social_network site canal plateforme kanal plattform plataforma piattaforma"
    " canale rede canal_name 平台 渠道 チャネル 채널 канал",
    "brand": "brand_name company company_name marque enseigne marke firma marca empresa azienda merk 品牌 ブランド"
    " 브랜드 бренд العلامة",
    "product": "product_name product_id item sku produit nom_produit produkt producto prodotto produto artikel"
    " app app_name 产品 產品 商品 商品名 製品 제품 상품 товар продукт",
    "place": "store shop store_name location location_name branch agency magasin boutique agence point_de_vente"
    " ville filiale standort tienda sucursal negozio sede loja filial winkel 门店 店舗 매장 магазин country pays",
    "audience": "segment customer_segment persona cohort audience_segment profil_client zielgruppe",
    "author.handle": "username user_name screen_name handle author_handle nickname nick login pseudo pseudonyme"
    " benutzername nombre_usuario nome_utente nome_usuario gebruikersnaam user_screen_name author_username"
    " reviewer_nickname ユーザー名 用户名 用戶名 아이디 никнейм",
    "author.name": "author user reviewer reviewer_name author_name display_name customer_name customer"
    " user_display_name full_name name auteur nom client nom_client utilisateur autor verfasser kunde"
    " kundenname usuario cliente autore utente auteur_naam autor_name yazar penulis forfattare автор"
    " пользователь имя 作者 用户 投稿者 작성자 이름 المؤلف ผู้เขียน लेखक tac_gia",
    "author.id": "user_id author_id customer_id reviewer_id client_id id_client kundennummer id_cliente id_usuario",
    "author.followers": "followers followers_count follower_count user_followers user_followers_count abonnes"
    " nb_abonnes seguidores seguaci volgers takipci подписчики 粉丝 粉丝数 フォロワー 팔로워",
    "author.verified": "verified user_verified is_verified verifie verifiziert verificado verificato",
    "author.url": "user_url author_url profile_url profile",
    "url": "link permalink review_url post_url tweet_url source_url lien enlace href uri",
    "parent_id": "in_reply_to in_reply_to_id in_reply_to_status_id reply_to parent parent_comment_id"
    " in_reply_to_tweet_id",
    "thread_id": "conversation_id thread topic_id",
    "nps": "nps_score net_promoter_score likelihood_to_recommend recommend recommendation_score"
    " recommandation note_nps nps_note weiterempfehlung recomendacion raccomandazione",
    "csat": "csat_score customer_satisfaction satisfaction satisfaction_score note_satisfaction zufriedenheit"
    " satisfaccion soddisfazione satisfacao",
    "ces": "ces_score customer_effort_score effort_score customer_effort note_effort aufwand esfuerzo",
    "reply.text": "reply reply_text response owner_response reply_content reply_body developer_reply company_reply"
    " reponse_marque",
    "reply.at": "reply_date replied_at response_at reply_created_at repliedat reply_time",
    "engagement.likes": "likes like_count likes_count favorites favorite_count favourites_count thumbs_up_count"
    " thumbs_up thumbsupcount",
    "engagement.shares": "shares share_count retweets retweet_count reposts repost_count",
    "engagement.replies": "replies_count reply_count comments comments_count num_comments comment_count",
    "engagement.views": "views view_count impressions impression_count",
    "engagement.helpful": "helpful helpful_count helpful_votes useful useful_count",
    "engagement.votes": "votes vote_count total_votes upvotes",
}
# Read as they are, never guessed under another name.
NATIVE = ("version", "scores", "replies", "rating_original", "own", "author", "engagement")
FIELDS = (*ALIASES, *NATIVE)
# Words that a column's name may carry beside what it says: `Note /10`, `Avis client`, `Your comment`.
_NOISE = frozenset({
    "client", "clients", "customer", "user", "your", "votre", "the", "de", "du", "des", "la", "le", "les", "l",
    "d", "sur", "out", "of", "from", "overall", "global", "total", "final", "kunden", "cliente", "1", "5",
    "10", "20", "100",
})  # fmt: skip
_SAMPLED = 200  # values looked at, a column


@dataclass(frozen=True, slots=True)
class Columns:
    """Column -> field as decided, the columns left out, and what a person should know about it."""

    fields: Mapping[str, str]  # field -> column
    left_out: tuple[str, ...] = ()
    scale: tuple[float, float] | None = None  # of ratings that name none
    order: str = "auto"  # of dates like 03/04/2026
    problems: tuple[str, ...] = ()
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # of nps, csat, ces

    @property
    def shown(self) -> dict[str, str]:
        """Column -> field, as a person reads it."""
        return {column: name for name, column in self.fields.items()}


def folded(name: str) -> str:
    """A column's name without case, accents, spaces and camel humps: `Date de création` -> `date_de_creation`."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    plain = unicodedata.normalize("NFKD", name).casefold()
    # Marks carry meaning in Indic scripts and Thai: only those on Latin and Greek letters go.
    kept = "".join(c for c in plain if not "\u0300" <= c <= "\u036f").replace("ß", "ss")
    return re.sub(r"[\W_]+", "_", unicodedata.normalize("NFKC", kept), flags=re.UNICODE).strip("_")


_NAMES: dict[str, tuple[str, int]] = {}
for _field, _names in ALIASES.items():
    for _rank, _name in enumerate((_field, *_names.split()), 0):
        _NAMES.setdefault(folded(_name), (_field, _rank))


@lru_cache(maxsize=4096)
def named(column: str) -> tuple[str, int] | None:
    """The field a column's name stands for with its rank (0: the field's own name), None for an unknown name."""
    if column in FIELDS:
        return column, 0
    if column.startswith("engagement.") and len(column) < 64:
        return column, 0
    name = folded(column)
    if found := _NAMES.get(name):
        return found
    for prefix in ("review_", "user_review_", "customer_"):
        if name.startswith(prefix) and (found := _NAMES.get(name.removeprefix(prefix))):
            return found[0], found[1] + 100
    words = [word for word in name.split("_") if word not in _NOISE]
    if words and len(words) < name.count("_") + 1 and (found := _NAMES.get("_".join(words))):
        return found[0], found[1] + 200
    return None


def decide(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    mapping: Mapping[str, str],
    scales: Iterable[str] = (),
    dates: Dates | None = None,
) -> Columns:
    """Which column is which field: `mapping` (field -> column, empty to leave a field out) first, then the names.

    A guess that the first values contradict (a `note` full of words, a `date` without dates) is dropped.
    """
    dates = dates or Dates()
    samples = {column: _values(rows, column) for column in columns}
    problems: list[str] = []
    fields = {name: column for name, column in mapping.items() if column}
    for name, column in fields.items():
        if column not in samples:
            problems.append(f"column {column!r}, mapped to {name}, is not in the file")
    ranked = sorted(
        (rank, place, name, column)
        for place, column in enumerate(columns)
        if column not in fields.values() and (found := named(column)) and (name := found[0]) is not None
        for rank in (found[1],)
    )
    for rank, _, name, column in ranked:
        if name in fields or name in mapping:
            continue
        if rank == 0 or (wrong := _contradiction(name, samples[column], dates)) is None:
            fields[name] = column
        elif name == "rating" and "text" not in fields and folded(column) in ("note", "notes", "bewertung"):
            fields["text"] = column
        else:
            problems.append(f"column {column!r} looks like {name} by its name, but {wrong}: left out")
    if not fields and columns:
        problems.append("no column has a name that is known: is there a header line? `columns` names them")
    _longest_is_text(fields, mapping, samples, problems)
    scale = _scale(fields, samples, problems) if "rating" not in scales else None
    order = _order(fields, samples, dates, problems)
    ranges = {name: _range(name, samples.get(fields[name], [])) for name in METRICS if name in fields}
    used = set(fields.values())
    left_out = tuple(column for column in columns if column not in used)
    return Columns(fields, left_out, scale, order, tuple(problems), ranges)


def _values(rows: Sequence[Mapping[str, Any]], column: str) -> list[Any]:
    values = (row.get(column) for row in rows)
    return [value for value in values if value is not None and as_text(value)][:_SAMPLED]


def _contradiction(name: str, values: Sequence[Any], dates: Dates) -> str | None:
    if not values:
        return None
    if name == "kind":
        known = all(as_text(value).casefold() in KINDS or as_text(value).casefold() in KIND_ALIASES for value in values)
        return None if known else "its values are no kinds"
    if name in ("rating", "nps", "csat", "ces"):
        return None if _share(values, as_rating) >= 0.8 else "most of its values are no numbers"
    if name.startswith("engagement.") or name == "author.followers":
        return None if _share(values, as_number) >= 0.8 else "most of its values are no numbers"
    if name in ("published_at", "updated_at", "reply.at"):
        read = Dates("day", dates.pattern, dates.zone), Dates("month", dates.pattern, dates.zone)
        return None if max(_share(values, one) for one in read) >= 0.5 else "most of its values are no dates"
    if name == "text":
        return "its values are numbers" if _share(values, as_number) > 0.8 else None
    if name == "language":
        return None if all(len(as_text(value)) <= 12 for value in values) else "its values are too long"
    return None


def _share(values: Sequence[Any], read: Any) -> float:
    good = 0
    for value in values:
        try:
            read(value)
            good += 1
        except ValueError:
            pass
    return good / len(values) if values else 0.0


def _longest_is_text(
    fields: dict[str, str], mapping: Mapping[str, str], samples: Mapping[str, list[Any]], problems: list[str]
) -> None:
    if "text" in fields or "text" in mapping:
        return
    taken = set(fields.values())
    lengths = {
        column: sum(len(as_text(value)) for value in values) / len(values)
        for column, values in samples.items()
        if values and column not in taken and all(isinstance(value, str) for value in values)
    }
    best = max(lengths, key=lambda column: lengths[column], default=None)
    if best is not None and lengths[best] >= 20:
        fields["text"] = best
        problems.append(f"no column is named like a text; {best!r} has the longest ones and is taken")
    elif "title" not in fields:
        problems.append("no column is named like a text: name it under `mapping`")


def _scale(
    fields: Mapping[str, str], samples: Mapping[str, list[Any]], problems: list[str]
) -> tuple[float, float] | None:
    column = fields.get("rating")
    if column is None:
        return None
    numbers = []
    for value in samples.get(column, ()):
        try:
            number, own = as_rating(value)
        except (ValueError, TypeError):
            continue
        if own is None:
            numbers.append(number)
    if not numbers:
        return None
    low, high = min(numbers), max(numbers)
    for top in (5.0, 10.0, 20.0, 100.0):
        if high <= top and low >= 0:
            scale = (0.0 if low < 1 or top >= 20 else 1.0, top)
            if scale != (1.0, 5.0):
                read = f"{scale[0]:g}..{top:g}"
                problems.append(f"ratings in {column!r} are read on {read}: set `scales.rating` otherwise")
            return scale
    problems.append(f"ratings in {column!r} run from {low:g} to {high:g}: set `scales.rating`")
    return None


def _order(fields: Mapping[str, str], samples: Mapping[str, list[Any]], dates: Dates, problems: list[str]) -> str:
    if dates.order != "auto" or dates.pattern:
        return dates.order
    texts = [
        as_text(value)
        for name in ("published_at", "updated_at")
        if name in fields
        for value in samples.get(fields[name], ())
    ]
    order = day_order(texts)
    if order == "either":
        problems.append("dates can be read day first or month first; day first is taken: set `dates` otherwise")
        return "day"
    return order or "auto"


def _range(name: str, values: Sequence[Any]) -> tuple[float, float]:
    if name == "nps":
        return 0.0, 10.0
    numbers = [number for number in map(_number_or_none, values) if number is not None]
    high = max(numbers, default=0.0)
    usual = (5.0, 7.0, 10.0, 100.0) if name == "csat" else (7.0, 10.0, 100.0)
    top = next((top for top in usual if high <= top), 100.0)
    return (0.0 if top == 100.0 or min(numbers, default=1.0) < 1 else 1.0), top


def _number_or_none(value: Any) -> float | None:
    try:
        return as_rating(value)[0]
    except (ValueError, TypeError):
        return None
