// Everything that a program with the installed library needs, and all that is installed:
//
//   #include <kindred/kindred.h>
//   const kindred::Encoder encoder = kindred::Encoder::open("RUN/encoder.safetensors");
//   const kindred::Tensor features = encoder.features("cat.jpg");  // [1, dim]
//
// Other headers of the tree are not installed, and change without notice. scripts/check_install.sh counts what this one
// includes: at most 30.
#pragma once

// Using a trained encoder.
#include <kindred/encoder/encoder.h>

// Training: tensors, the tape, parameters and their updates, random numbers.
#include <kindred/engine/optimizer/optimizer.h>
#include <kindred/engine/optimizer/schedule.h>
#include <kindred/engine/parameters.h>
#include <kindred/engine/random/philox.h>
#include <kindred/engine/tape.h>
#include <kindred/engine/tensor.h>

// Layers and losses.
#include <kindred/layers/batch_norm/batch_norm.h>
#include <kindred/layers/conv2d/conv2d.h>
#include <kindred/layers/image_input/image_input.h>
#include <kindred/layers/l2_normalize/l2_normalize.h>
#include <kindred/layers/linear/linear.h>
#include <kindred/layers/pointwise/pointwise.h>
#include <kindred/layers/pooling/pooling.h>
#include <kindred/losses/cross_entropy/cross_entropy.h>
#include <kindred/losses/supcon/supcon.h>

// Networks, and their files.
#include <kindred/models/encoder_file.h>
#include <kindred/models/projection_head.h>
#include <kindred/models/resnet.h>
