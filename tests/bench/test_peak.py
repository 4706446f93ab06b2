from sleepdefense.bench.peak import judge_peaks


def test_fractions_by_hand() -> None:
    loops = {"slow": 1e9, "fast": 4e9, "kernel, 128 KB": 3.2e9, "widening, 16 KB": 2.5e9}
    phases = {"draw": 0.5, "S1 fire": 1.0, "S2 lists": 0.5, "S2 gather": 1.0, "S3 gather": 3.0}
    rows = judge_peaks(loops, phases, (9, 2 * 10**9, 6 * 10**9), (25, 1024, 512), 8.0, 16 * 10**9, 10**6)
    values = {row.figure: row.value for row in rows}
    assert rows[0].value == 50.0  # 8e9 adds in 4 s, of 4e9 a second
    assert rows[0].met is False
    assert rows[1].value == 50.0  # 16e9 adds in 8 s
    assert rows[1].met is True
    assert values["S2"] == 2.0
    assert values["S3"] == 2.0
    assert values["loop: fast"] == 4.0
    notes = {row.figure: row.note for row in rows}
    assert notes["S2"] == "50 % of peak; 62 % of the same loop over its 128 KB; 4 GB/s of weights"
    assert notes["S3"] == "50 % of peak; 4 GB/s of weights"
    assert rows[0].note.endswith("80 % of the widening loop, which the bar was set with")
    assert notes["loop: slow"] == "S2-S4 at 200 % of it, whole pass at 200 %"
    assert values["phase: draw"] == 0.5
