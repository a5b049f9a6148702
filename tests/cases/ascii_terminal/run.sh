#!/usr/bin/env bash
# Standard output is not UTF-8, as on some CI runners.
# Right: tables are printed, with the characters that the encoding lacks replaced. Wrong: UnicodeEncodeError, exit code 5.
. ../env.sh

for encoding in ascii latin-1; do
  PYTHONIOENCODING=$encoding expect 0 ganbench list
  expect_output "dcgan-fashion .*The homework's DCGAN on FashionMNIST"
  LC_ALL=C grep -q '[^ -~]' output.txt && fail "characters other than ASCII in the output"
done
