#!/usr/bin/env bash
# Standard output is not UTF-8, as on some CI runners.
# Right: tables are printed, with the characters that the encoding lacks replaced. Wrong: UnicodeEncodeError, exit code 5.
. ../env.sh

for encoding in ascii latin-1; do
  PYTHONIOENCODING=$encoding expect 0 ganbench list
  expect_output "dcgan-fashion .*The homework's DCGAN on FashionMNIST"
  python - $encoding <<'P'
import sys
from pathlib import Path

encoding = sys.argv[1]
lines = Path("output.txt").read_text(encoding=encoding).splitlines()  # raises UnicodeDecodeError for other bytes
(summary,) = (line for line in lines if "chet inception distance" in line)
assert ("Fr?chet" if encoding == "ascii" else "Fr\xe9chet") in summary, summary
assert not any("\x80" <= character < "\xa0" for line in lines for character in line), "these lines are UTF-8"
P
done
