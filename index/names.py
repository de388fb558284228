"""What people call the fields and labels of a query, in English and French: resolved to our keys.

Everything is compared folded (index.tokens.fold): `Étape:Réception` and `etape:reception` are one.
"""

from collections.abc import Mapping, Sequence

from index.ast import DATE_FIELDS, HAS_FLAGS, IS_FLAGS, KEYWORD_FIELDS, LABEL_FIELDS, NUMBER_FIELDS, TEXT_FIELDS
from index.tokens import fold
from listener.model import EMOTIONS, INTENTS, KINDS, SENTIMENTS

FIELDS = (*TEXT_FIELDS, *KEYWORD_FIELDS, *NUMBER_FIELDS, *DATE_FIELDS, *LABEL_FIELDS, "segments", "is", "has")

_FIELD_ALIASES = {
    "texte": "text", "titre": "title", "langue": "lang", "language": "lang", "canal": "channel",
    "genre": "kind", "marque": "brand", "produit": "product", "lieu": "place", "magasin": "place",
    "public": "audience", "auteur": "author", "abonnes": "followers", "followers": "followers", "verifie": "verified",
    "note": "rating", "etoiles": "stars", "publie": "date", "published_at": "date", "recu": "received",
    "received_at": "received", "emotions": "emotion", "intention": "intent", "intentions": "intent",
    "intents": "intent", "etape": "step", "global": "overall", "ensemble": "overall", "dossier": "case",
    "responsable": "owner", "modele": "model", "est": "is", "avec": "has", "segment": "segments",
    "passage": "segments", "passages": "segments",
}  # fmt: skip

_STEPS = {
    "discovery": ("Visit and discovery", "Visite et découverte", "découverte", "visite"),
    "reviews": ("Reading reviews", "Consultation des avis", "avis"),
    "store": ("Store and welcome", "Magasin et accueil", "magasin", "accueil"),
    "purchase": ("Choice and order", "Choix et commande", "achat", "commande"),
    "payment": ("Payment and confirmation", "Paiement et confirmation", "paiement"),
    "reception": ("Delivery and use", "Réception et usage", "réception", "livraison", "delivery"),
    "support": ("Customer service", "Service client", "assistance", "SAV"),
    "advocacy": ("Sharing and recommending", "Partage et recommandation", "recommandation", "partage"),
    "survey": ("Loyalty and survey", "Fidélité et sondage", "fidélité", "sondage", "loyalty"),
    "none": ("Outside the journey", "Hors parcours", "aucune"),
}
_SENTIMENTS = {"negative": ("négatif",), "neutral": ("neutre",), "positive": ("positif", "positive")}
_EMOTIONS = {
    "anger": ("colère",), "disgust": ("dégoût",), "fear": ("peur",), "joy": ("joie",), "sadness": ("tristesse",),
    "surprise": ("surprise",),
}  # fmt: skip
_INTENTS = {
    "complaint": ("plainte", "réclamation"), "question": ("question",), "suggestion": ("suggestion",),
    "praise": ("éloge", "compliment"), "purchase_intent": ("intention d'achat", "achat", "purchase intent"),
    "churn_risk": ("risque de départ", "départ", "churn", "churn risk"), "escalation": ("escalade",),
}  # fmt: skip
_KINDS = {
    "review": ("avis",), "post": ("publication",), "comment": ("commentaire",), "survey": ("enquête", "sondage"),
    "message": ("message",),
}  # fmt: skip
_CASES = {
    "new": ("nouveau",), "assigned": ("attribué", "assigné"), "replied": ("répondu",), "resolved": ("résolu",),
    "ignored": ("ignoré",),
}  # fmt: skip
_IS = {
    "reply": ("réponse",), "edited": ("modifié",), "own": ("à nous",), "uncertain": ("incertain",),
    "unanalysed": ("non analysé", "unanalyzed"), "overdue": ("en retard",),
}  # fmt: skip
_HAS = {"url": ("lien", "link"), "rating": ("note",), "case": ("dossier",)}
_TRUE = {"true": ("vrai", "yes", "oui", "1"), "false": ("faux", "no", "non", "0")}


def _table(keys: Sequence[str], names: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Folded name -> key, for these keys."""
    table = {fold(name): key for key in keys for name in names.get(key, ())}
    return table | {fold(key): key for key in keys}


_FIELDS = _table(FIELDS, {}) | _FIELD_ALIASES
_VALUES = {
    "sentiment": _table(SENTIMENTS, _SENTIMENTS), "overall": _table(SENTIMENTS, _SENTIMENTS),
    "emotion": _table(EMOTIONS, _EMOTIONS), "intent": _table(INTENTS, _INTENTS), "kind": _table(KINDS, _KINDS),
    "case": _table(tuple(_CASES), _CASES), "is": _table(IS_FLAGS, _IS), "has": _table(HAS_FLAGS, _HAS),
    "verified": _table(tuple(_TRUE), _TRUE),
}  # fmt: skip


def field_of(name: str) -> str | None:
    """The field that a name in a query stands for; None where no field has it."""
    return _FIELDS.get(fold(name))


def allowed(field: str, steps: Sequence[str]) -> tuple[str, ...]:
    """The keys a labelled field may hold; empty for a field with free values."""
    return tuple(steps) if field == "step" else tuple(dict.fromkeys(_VALUES.get(field, {}).values()))


def value_of(field: str, text: str, steps: Sequence[str]) -> str | None:
    """The key that a value of a labelled field stands for; None where it is none of them."""
    table = _table(steps, _STEPS) if field == "step" else _VALUES[field]
    folded = fold(text)
    return table.get(folded) or table.get(folded.replace("_", " "))
