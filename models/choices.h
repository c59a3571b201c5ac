// What can be chosen about a model beside its size, and the names of the choices in flags and files.
#pragma once

#include <kindred/engine/names.h>

#include <cstdint>
#include <string>

namespace kindred {

// How a network begins. imagenet: 7x7 convolution of stride 2, then max-pool of stride 2. cifar: 3x3
// convolution of stride 1, no pool.
enum class Stem : std::uint8_t { imagenet, cifar };

inline constexpr Named<Stem> stem_names[] = {{Stem::imagenet, "imagenet"}, {Stem::cifar, "cifar"}};

const char* name(Stem stem);
Stem parse_stem(const std::string& text);    // throws Error(usage) for any other text
Stem default_stem(std::int64_t image_size);  // cifar up to 32 pixels

// The projection head behind the encoder (projection_head.h).
enum class HeadKind : std::uint8_t {
  linear,  // dim -> 128
  mlp,     // dim -> dim -> 128, ReLU between, biases, no batch norm
  none,    // the features themselves, normalised
};

const char* name(HeadKind kind);
HeadKind parse_head(const std::string& text);  // throws Error(usage) for any other text

// Over which images a batch norm computes its statistics if a batch goes through the network in micro-batches
// (micro_batches.h).
enum class BatchNormScope : std::uint8_t { micro, full };

const char* name(BatchNormScope scope);
BatchNormScope parse_batch_norm_scope(const std::string& text);  // throws Error(usage) for any other text

}  // namespace kindred
