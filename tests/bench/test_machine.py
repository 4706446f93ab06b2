import json

from sleepdefense.bench.machine import describe_machine, load_average


def test_the_machine_as_json() -> None:
    found = json.loads(json.dumps(describe_machine()))
    assert found["processor"]
    assert found["cores"] >= 1
    assert found["versions"]["numpy"]
    assert found["versions"]["torch"]
    assert found["date"].endswith("+00:00")
    assert isinstance(found["caches"], dict)


def test_the_load_is_three_numbers_or_unknown() -> None:
    load = load_average()
    assert load is None or (len(load) == 3 and min(load) >= 0)
