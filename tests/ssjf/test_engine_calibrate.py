"""Micro-benchmarks and the profile fitted to them: a made-up engine whose costs are known must be found again."""

import dataclasses
import tomllib

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.ssjf.engine import calibrate
from credence.ssjf.infer.profile_fits import as_toml
from credence.ssjf.model import EngineProfile, read_profiles
from credence.ssjf.model.profiles import decode_s
from ssjf.made_up_engine import Clock, ProfileModel

TRUE = EngineProfile(
    name="true",
    prefill_table=((32, 0.10), (64, 0.16), (384, 0.9)),
    decode_table=((1, 0.05), (2, 0.07), (4, 0.08), (8, 0.11)),
    decode_per_context_token_s=1e-6,
)


def timings(repeats=3, noise=0.0, **settings):
    clock = Clock()
    frame = calibrate.benchmark(ProfileModel(clock, TRUE, 8), [7, 8, 9], repeats, clock=clock, **settings)
    return frame.assign(seconds=frame["seconds"] * np.random.default_rng(1).lognormal(0, noise, len(frame)))


def test_known_costs_are_found_again():
    fit = calibrate.fit_profile(timings(repeats=1))
    assert np.abs(fit.rows["error"]).max() < 1e-3
    assert dict(fit.profile.decode_table)[4.0] == pytest.approx(0.08, rel=1e-3)
    assert fit.profile.decode_per_context_token_s == pytest.approx(1e-6, rel=0.02)
    assert dict(fit.profile.prefill_table)[384.0] == pytest.approx(0.9, rel=1e-3)


def test_a_batch_beyond_the_measured_ones_is_never_cheaper():
    frame = timings(repeats=1)
    frame.loc[(frame["quantity"] == "decode") & (frame["batch"] == 7), "seconds"] *= 1.4  # odd sizes are slow
    profile = calibrate.fit_profile(frame).profile
    assert decode_s(profile, 7, 0) > decode_s(profile, 8, 0)
    assert decode_s(profile, 32, 0) > decode_s(profile, 16, 0) > decode_s(profile, 8, 0)


def test_an_outlier_does_not_move_the_fit():
    frame = timings()
    frame.loc[frame["repeat"] == 1, "seconds"] *= 5
    assert np.abs(calibrate.fit_profile(frame).rows["error"]).max() < 1e-3


def test_noise_shows_in_the_errors_of_the_cases_held_out():
    fit = calibrate.fit_profile(timings(repeats=5, noise=0.1))
    assert 0.005 < fit.profile.fit["decode"]["mean_abs"] < 0.1
    held_out = fit.rows[(fit.rows["part"] == "held out") & (fit.rows["quantity"] == "decode")]
    assert fit.profile.fit["decode"]["units"] == len(held_out)
    assert fit.profile.fit["decode"]["mean_abs"] == pytest.approx(held_out["error"].abs().mean())


def test_the_fit_sees_no_case_held_out():
    frame = timings(repeats=1)
    spoilt = frame.assign(seconds=np.where(frame["part"] == "held out", 9.0, frame["seconds"]))
    assert calibrate.fit_profile(spoilt).profile == calibrate.fit_profile(frame).profile


def test_an_interrupted_benchmark_goes_on(tmp_path):
    file = tmp_path / "timings.parquet"
    timings(repeats=1, out=file)
    clock = Clock()
    backend = ProfileModel(clock, TRUE, 8)
    frame = calibrate.benchmark(backend, [7, 8, 9], 2, out=file, clock=clock)
    assert frame["repeat"].tolist() == [0] * len(calibrate.cases()) + [1] * len(calibrate.cases())
    spent = clock.seconds
    calibrate.benchmark(backend, [7, 8, 9], 2, out=file, clock=clock)
    assert clock.seconds == spent
    assert not backend.inside


def test_every_batch_size_is_fitted_and_so_are_mixed_batches():
    for part, kind in (("fit", "decode"), ("fit", "prefill"), ("held out", "decode"), ("held out", "prefill")):
        assert any(case.part == part and case.quantity == kind for case in calibrate.cases())
    fitted = {len(case.lengths) for case in calibrate.cases() if case.part == "fit" and case.quantity == "decode"}
    assert fitted == set(calibrate.BATCHES)
    mixed = [case for case in calibrate.cases() if case.quantity == "decode" and len(set(case.lengths)) > 1]
    assert {case.part for case in mixed} == {"fit"}


def test_freezing_replaces_the_older_profile_only(tmp_path):
    fit = calibrate.fit_profile(timings(repeats=1))
    other = dataclasses.replace(fit.profile, name="other")
    text = "# head\n\n" + as_toml(other) + "\n"
    once = calibrate.freeze(text, as_toml(dataclasses.replace(fit.profile, note="old")))
    twice = calibrate.freeze(once, as_toml(fit.profile))
    assert [table["name"] for table in tomllib.loads(twice)["profile"]] == ["other", calibrate.NAME]
    assert twice.startswith("# head\n")
    (tmp_path / "p.toml").write_text(twice)
    assert read_profiles(tmp_path / "p.toml")[calibrate.NAME] == fit.profile


def test_too_little_is_refused():
    with pytest.raises(InputError, match="repeats is 0"):
        calibrate.benchmark(None, [1], 0)
    frame = timings(repeats=1)
    with pytest.raises(InputError, match="prefill to fit"):
        calibrate.fit_profile(frame[frame["quantity"] == "decode"])
