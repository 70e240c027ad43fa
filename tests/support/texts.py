"""The console's texts, read from its sources."""

from __future__ import annotations

import re
from pathlib import Path

WEB = Path(__file__).resolve().parents[2] / "cloud" / "web" / "src"


def texts_of(lang: str) -> dict[str, str]:
    """Every key of a language with its words, of all files of its folder; fails where one is there twice."""
    source = "".join(path.read_text(encoding="utf-8") for path in sorted((WEB / "i18n" / lang).glob("*.ts")))
    found = re.findall(r'^  "([\w.]+)": "(.*)",$', source, re.MULTILINE)
    assert len(found) == len(dict(found)) == source.count('": "'), "a key is there twice, or not read"
    return dict(found)
