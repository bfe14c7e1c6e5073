"""A run that waits for people, as they meet it: held, reviewed by two, and run again to its end."""

from pathlib import Path

from tests.lemfarm_process import Site

RUN_FILE = """\
run: tiny
model: {engine: simulated, tokens_per_second: 4000, mean_tokens: 100, slots: 4}
sampling: {max_tokens: 1024}
farm: {lease_seconds: 3}
phases:
  - name: creative
    probes: [probes.jsonl]
    samples: 1
    gates: [{min_chars: 50}]
    quota: {accepted: 3}
    review: {share: 1.0, before_training: true}
  - name: deep
    probes: [probes.jsonl]
    samples: 1
    gates: [{min_chars: 50}]
    quota: {accepted: 2}
"""


def test_a_run_waits_for_its_reviewers_and_goes_on_after_them(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        # Given a run whose first phase is to be reviewed
        site.run_file.write_text(RUN_FILE)
        first = site.run("run", site.run_file)
        # Then it is held, says what for, and has gone on with the other phase
        assert first.code == 3, first.err
        assert "wait for review, 0 of 3 are accepted: `lemfarm review tiny --phase creative`" in first.out
        assert site.rows("SELECT name, state FROM phase ORDER BY position") == [("creative", "open"), ("deep", "full")]
        assert "wait for review" in site.run("status").out
        # and is still held when nobody has looked
        assert site.run("run", site.run_file).code == 3
        # When a reviewer goes through it
        waiting = len(site.run("review", "--json").data["waiting"])
        keys = "r too dull\n" + "a\n" * (waiting - 1)
        reviewed = site.run("review", "tiny", "--phase", "creative", "--reviewer", "ann", typed=keys)
        assert reviewed.code == 0, reviewed.err
        assert "that was the last one needed: the run goes on" in reviewed.out
        # Then the same command ends the run, and what was rejected is not among what counts
        second = site.run("run", site.run_file)
        assert second.code == 0, second.err
        assert site.rows("SELECT reason FROM sample WHERE outcome = 'rejected'") == [("rejected by ann: too dull",)]
        assert site.run("verify").code == 0
