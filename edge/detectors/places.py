"""What a sensor's name says about where it is: rooms and the door to the outside, from one table of words."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum


class Place(StrEnum):
    """Where in a home something happens, as far as the routine cares."""

    BED = "bed"
    SEAT = "seat"
    BATHROOM = "bathroom"
    KITCHEN = "kitchen"
    BEDROOM = "bedroom"
    ENTRANCE = "entrance"
    OTHER = "other"


WORDS: tuple[tuple[Place, tuple[str, ...]], ...] = (
    (
        Place.BATHROOM,
        (
            *(
                "bathroom",
                "bath",
                "toilet",
                "wc",
                "shower",
                "basin",
                "washroom",
                "restroom",
                "lavatory",
                "flush",
                "loo",
            ),
            *("bad", "badezimmer", "toilette", "dusche", "salle de bain", "douche", "bano", "aseo", "ducha", "inodoro"),
            *("bagno", "doccia", "badkamer", "banheiro", "badrum", "卫生间", "厕所", "浴室", "洗手间", "马桶", "淋浴"),
            *("トイレ", "風呂", "浴槽", "화장실", "욕실", "ванная", "туалет"),
        ),
    ),
    (
        Place.KITCHEN,
        (
            *(
                "kitchen",
                "fridge",
                "freezer",
                "refrigerator",
                "stove",
                "cooktop",
                "oven",
                "microwave",
                "toaster",
                "pans",
            ),
            *(
                "kettle",
                "toaster",
                "cupboard",
                "plates",
                "groceries",
                "dishwasher",
                "cups",
                "cutlery",
                "burner",
                "pantry",
            ),
            *("kuche", "kuehlschrank", "kuhlschrank", "herd", "ofen", "mikrowelle", "cuisine", "frigo", "cocina"),
            *("nevera", "frigorifico", "microondas", "horno", "cucina", "forno", "keuken", "koelkast", "cozinha"),
            *(
                "geladeira",
                "kok",
                "厨房",
                "冰箱",
                "微波炉",
                "灶",
                "烤箱",
                "台所",
                "冷蔵庫",
                "부엌",
                "주방",
                "кухня",
                "холодильник",
            ),
        ),
    ),
    (
        Place.BEDROOM,
        (
            *("bedroom", "bed", "schlafzimmer", "bett", "chambre", "lit", "dormitorio", "habitacion", "cama"),
            *(
                "letto",
                "slaapkamer",
                "quarto",
                "sovrum",
                "sang",
                "卧室",
                "床",
                "寝室",
                "침실",
                "침대",
                "спальня",
                "кровать",
            ),
        ),
    ),
    (
        Place.ENTRANCE,
        (
            *("front door", "frontdoor", "main door", "maindoor", "entrance", "entry", "exit", "outside", "outdoor"),
            *("back door", "backdoor", "house door", "street door", "garage door", "foyer"),
            *(
                "haustur",
                "haustuer",
                "wohnungstur",
                "wohnungstuer",
                "eingang",
                "eingangstur",
                "entree",
                "porte d entree",
            ),
            *(
                "puerta principal",
                "entrada",
                "puerta de entrada",
                "ingresso",
                "porta d ingresso",
                "voordeur",
                "ytterdorr",
            ),
            *(
                "porte d entree",
                "ytterdorr",
                "porta de entrada",
                "大门",
                "入户门",
                "前门",
                "门口",
                "玄关",
                "玄関",
                "현관",
                "прихожая",
                "вход",
            ),
        ),
    ),
)
"""In order: a bathroom door in the hall is the bathroom's; only a door that belongs to no room leads outside."""

SEAT_WORDS = (
    *("seat", "chair", "sofa", "couch", "armchair", "sessel", "fauteuil", "silla", "sillon", "poltrona", "stoel"),
    *("沙发", "椅", "ソファ", "소파", "кресло", "диван"),
)
BED_WORDS = ("bed", "mattress", "bett", "lit", "cama", "letto", "sang", "床", "ベッド", "침대", "кровать")


_COMPOUND = 5
"""Words of this many letters also count at the beginning of a longer one."""


def normal(text: str) -> str:
    """Lower case, accents off, everything that is no letter or digit one space."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    return " ".join(re.findall(r"\w+", plain.replace("_", " ")))


def says(text: str, words: tuple[str, ...]) -> bool:
    """Whether `text` (already `normal`) holds one of the words: whole words, long ones also as the beginning of a
    compound; scripts without spaces anywhere.
    """
    padded = f" {text} "
    return any(_stands(word, padded) for word in words)


def leads_outside(sensor: str, room: str | None) -> bool:
    """Whether a door of this name in this room is one by which the home is left."""
    plain = _without_numbers(normal(sensor))
    if place_of(sensor) is Place.ENTRANCE or says(plain, dict(WORDS)[Place.ENTRANCE]):
        return place_of(sensor) in (Place.ENTRANCE, Place.OTHER)
    return place_of(sensor) is Place.OTHER and place_of(room) is Place.ENTRANCE


def place_of(*texts: str | None) -> Place:
    """The first place whose words stand in the texts, of which the first that says anything counts."""
    for text in texts:
        if text:
            plain = _without_numbers(normal(text))
            for place, words in WORDS:
                if says(plain, words):
                    return place
    return Place.OTHER


def _stands(word: str, padded: str) -> bool:
    if not word.isascii():
        return normal(word) in padded
    return f" {word} " in padded or (len(word) >= _COMPOUND and f" {word}" in padded)


def _without_numbers(text: str) -> str:
    """`bathroom2` and `bathroom 2` are the same room."""
    return re.sub(r"(?<=[^\W\d])\d+", "", text)
