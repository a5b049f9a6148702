#!/usr/bin/env bash
# `ganbench check --against` runs in a pre-commit hook. git exports GIT_INDEX_FILE to hooks, and their git commands
# would use this index.
# Right: the check succeeds, and the commit contains exactly the staged changes, with `git commit -a` and `git add`.
# Wrong: the commit contains the files of the base revision, or the base revision cannot be checked out.
. ../env.sh

for mode in all add; do
  git init -q "$mode"
  cd "$mode"
  git config user.email test@example.org
  git config user.name test

  ganbench show saddle-quadratic >game.toml
  echo 1 >old
  git add -A
  git commit -qm one
  echo 2 >new
  git add -A
  git commit -qm two

  cat >.git/hooks/pre-commit <<'H'
#!/bin/sh
exec ganbench check game.toml --against HEAD~1 --no-speed --always-measure
H
  chmod +x .git/hooks/pre-commit
  echo more >>old
  if [ $mode = all ]; then
    git commit -qam three >../commit.txt 2>&1 || fail "the commit was refused: $(cat ../commit.txt)"
  else
    git add -A
    git commit -qm three >../commit.txt 2>&1 || fail "the commit was refused: $(cat ../commit.txt)"
  fi
  cat ../commit.txt
  grep -q "^PASS: training results agree" ../commit.txt || fail "the hook did not run the check"
  git show HEAD:old | grep -q more || fail "the change is not in the commit"
  changed=$(git show --name-status --format= HEAD)
  [ "$changed" = "M"$'\t'"old" ] || fail "the commit changes other files: $changed"
  [ -z "$(git status --porcelain)" ] || fail "the working tree or the index differs from the commit: $(git status)"
  cd ..
done
