#!/bin/sh
# The demonstration: a course of three phases. The second one is made to fail its gate; the course stays at the adapter of
# the first, the phase is trained again with a sane learning rate, and the course goes on. Called by `make demo`.
set -eu
lemfarm=$1
home=$2

show() {
  printf '\n$ lemfarm %s\n' "$*"
  "$lemfarm" "$@" --home "$home"
}

code=0
show run configs/demo.yaml --workers 2 || code=$?
if [ "$code" -eq 1 ]; then
  printf '\nPhase 2 did not pass its gate, as it was meant to: its learning rate is a hundred times too high.\n'
  printf 'Its adapter is not promoted, and phase 3 was not trained on top of it. What the gates found:\n'
  show phases demo
  show train demo --phase 2 --retry --learning-rate 3e-4
  show run configs/demo.yaml --workers 2
elif [ "$code" -ne 0 ]; then
  exit "$code"
fi
show phases demo
show verify
