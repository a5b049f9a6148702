#!/usr/bin/env bash
# Datasets in other formats: PIL images (torchvision without a transform), dictionaries, and images without labels.
# Right: an error that names the dataset plugin, what it returns and what is expected. Wrong: an unexpected error.
. ../env.sh

check() {
  expect 5 ganbench run dcgan-fashion -p raw.py -o "dataset=$1" -o model.width=4 "${UNSCORED[@]}" \
    -o training.batch_size=8 --epochs 1 --out "$1"
  expect_output "^error: dataset '$1' .*train split.* $2.*; expected .*image.* and .*labels?"
}
check pil "the image is a PIL.Image.Image"
check dict "is a dict with the keys 'image', 'label'"
check unlabeled "is a TensorDataset of 1 tensors"
