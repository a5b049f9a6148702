#!/usr/bin/env bash
# A CI job is canceled: SIGTERM during `ganbench check --against`.
# Right: the check ends, and so do its sessions; its temporary folders are removed, and git has no worktree for them.
# Wrong: any of these is left behind.
. ../env.sh

mkdir tmp
export TMPDIR=$PWD/tmp
git init -q repository
cd repository
git config user.email test@example.org
git config user.name test
ganbench show saddle-quadratic >game.toml
git add -A
git commit -qm one

# a session's arguments contain the path of its temporary folder
sessions() { pgrep -f "gate/worker/main\.py.*$TMPDIR" || true; }

ganbench check game.toml --against HEAD --no-speed --always-measure >../output.txt 2>&1 &
check=$!
for _ in $(seq 600); do
  [ -n "$(sessions)" ] && break
  sleep 0.1
done
[ -n "$(sessions)" ] || fail "no session started: $(cat ../output.txt)"
ls -d "$TMPDIR"/ganbench-revision-* || fail "the base revision is not in TMPDIR"

kill -TERM $check
code=0
wait $check || code=$?
cat ../output.txt
[ $code = 130 ] || fail "exit code $code instead of 130"
for _ in $(seq 100); do
  [ -z "$(sessions)" ] && break
  sleep 0.1
done
[ -z "$(sessions)" ] || fail "sessions are still running: $(sessions)"
[ -z "$(ls -A "$TMPDIR")" ] || fail "left in TMPDIR: $(ls -A "$TMPDIR")"
[ "$(git worktree list | wc -l)" -eq 1 ] || fail "git worktree list: $(git worktree list)"
