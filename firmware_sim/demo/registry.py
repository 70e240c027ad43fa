"""An invented district: nobody in it exists, and no number in it can be dialled."""

from __future__ import annotations

import random
from typing import Any

FULL_HOME = "h-demo"
FULL_GATEWAY = "gw-demo"
PREFIX = "gw-n"
OPERATOR, SUPERVISOR = "demo", "chief"
NURSE = "r-nurse-1"
FAMILY_PHONE, SECOND_FAMILY_PHONE = "10000000001", "10000000002"
NURSE_PHONE = "10000001001"
CENTRES: dict[str, tuple[str, float, float]] = {
    "yuanling": ("园岭", 22.5580, 114.0985),
    "nanyuan": ("南园", 22.5375, 114.0935),
    "futian": ("福田", 22.5290, 114.0660),
    "shatou": ("沙头", 22.5300, 114.0230),
    "meilin": ("梅林", 22.5760, 114.0480),
    "huafu": ("华富", 22.5580, 114.0770),
    "xiangmihu": ("香蜜湖", 22.5500, 114.0150),
    "lianhua": ("莲花", 22.5560, 114.0500),
    "huaqiangbei": ("华强北", 22.5470, 114.0860),
    "fubao": ("福保", 22.5170, 114.0480),
}
_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨"
_GIVEN = ("示例", "演示", "样例", "虚构", "模拟")


def make_registry(light_homes: int, password: str | None) -> dict[str, Any]:
    """A registry of the full home and `light_homes` light ones, always the same."""
    rng = random.Random(20_261_123)
    registry: dict[str, Any] = {
        "homes": [
            {
                "id": FULL_HOME,
                "sub_district": "meilin",
                "address": "梅林示范路 12 号 3 栋 501",
                "lat": 22.5762,
                "lon": 114.0473,
                "access_note": "钥匙在一楼物业，门禁码见任务单",
            }
        ],
        "residents": [
            {
                "id": "p-demo",
                "home_id": FULL_HOME,
                "name": "林虚构",
                "birth_year": 1943,
                "sex": "female",
                "phone": "10000000000",
                "conditions": "高血压；右髋置换术后",
            }
        ],
        "gateways": [{"id": FULL_GATEWAY, "home_id": FULL_HOME}],
        "contacts": [
            _contact("c-demo-1", FULL_HOME, "林演示", "女儿", FAMILY_PHONE, 1, "zh"),
            _contact("c-demo-2", FULL_HOME, "Alex Lin (invented)", "孙子", SECOND_FAMILY_PHONE, 2, "en"),
        ],
        "responders": _responders(rng),
        "users": _users(password),
    }
    for i in range(1, light_homes + 1):
        _add_light_home(registry, i, rng)
    return registry


def _contact(key: str, home: str, name: str, relation: str, phone: str, position: int, lang: str) -> dict[str, Any]:
    return {
        "id": key,
        "home_id": home,
        "name": name,
        "relation": relation,
        "phone": phone,
        "position": position,
        "lang": lang,
    }


def _add_light_home(registry: dict[str, Any], i: int, rng: random.Random) -> None:
    code = list(CENTRES)[i % len(CENTRES)]
    name, lat, lon = CENTRES[code]
    home = f"h-n{i:03d}"
    surname = rng.choice(_SURNAMES)
    registry["homes"].append(
        {
            "id": home,
            "sub_district": code,
            "address": f"{name}示范{rng.choice('一二三四五')}路 {rng.randint(1, 90)} 号 {rng.randint(101, 1804)}",
            "lat": round(lat + rng.uniform(-0.006, 0.006), 5),
            "lon": round(lon + rng.uniform(-0.006, 0.006), 5),
        }
    )
    registry["residents"].append(
        {
            "id": f"p-n{i:03d}",
            "home_id": home,
            "name": surname + rng.choice(_GIVEN),
            "birth_year": rng.randint(1932, 1960),
            "sex": rng.choice(("female", "male")),
            "phone": f"100002{i:05d}",
        }
    )
    registry["gateways"].append({"id": f"{PREFIX}{i:03d}", "home_id": home})
    contact = _contact(f"c-n{i:03d}", home, surname + rng.choice(_GIVEN), "子女", f"100003{i:05d}", 1, "zh")
    registry["contacts"].append(contact)


def _responders(rng: random.Random) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "id": NURSE,
            "name": "周模拟",
            "role": "nurse",
            "phone": NURSE_PHONE,
            "skills": ["first-aid"],
            "sub_district": "meilin",
            "lat": 22.5731,
            "lon": 114.0502,
        }
    ]
    roles = ("volunteer", "social_worker", "nurse")
    for i, (code, (_, lat, lon)) in enumerate(CENTRES.items()):
        rows.append(
            {
                "id": f"r-{code}",
                "name": f"{_SURNAMES[i]}{_GIVEN[i % len(_GIVEN)]}",
                "role": roles[i % 3],
                "phone": f"1000000{1100 + i}",
                "sub_district": code,
                "lat": round(lat + rng.uniform(-0.004, 0.004), 5),
                "lon": round(lon + rng.uniform(-0.004, 0.004), 5),
                "on_duty": i % 5 != 4,
            }
        )
    ambulance = {"id": "r-120", "name": "急救站（虚构）", "role": "ambulance", "phone": "10000001120"}
    rows.append(ambulance | {"sub_district": "huafu", "lat": 22.5561, "lon": 114.0731})
    return rows


def _users(password: str | None) -> list[dict[str, Any]]:
    secret = {"password": password} if password is not None else {}
    return [
        {"id": "u-demo", "login": OPERATOR, "name": "值班员 演示", "role": "operator", **secret},
        {
            "id": "u-chief",
            "login": SUPERVISOR,
            "name": "班长 演示",
            "role": "supervisor",
            "phone": "10000009001",
            **secret,
        },
    ]


def phone_names(registry: dict[str, Any]) -> dict[str, str]:
    """Whose phone a number is."""
    names = {c["phone"]: f"{c['name']}（{c['relation']}）" for c in registry["contacts"]}
    names |= {r["phone"]: f"{r['name']}（{r['role']}）" for r in registry["responders"]}
    return names | {u["phone"]: f"{u['name']}（{u['role']}）" for u in registry["users"] if u.get("phone")}
