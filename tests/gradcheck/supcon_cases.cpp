#include "gradcheck.h"

#include <kindred/layers/l2_normalize/l2_normalize.h>
#include <kindred/losses/supcon/supcon.h>

#include <string>

namespace kindred::gradcheck {
namespace {

// Labels i * i mod `classes`: classes of different sizes, some of a single row.
Tensor uneven_labels(std::int64_t rows, std::int64_t classes, Device device) {
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < rows; ++i) labels.push_back(static_cast<std::int32_t>(i * i % classes));
  return Tensor::from(labels, {rows}, device);
}

// The loss of the rows without normalization.
Case raw_case(const std::string& variant, std::int64_t rows, std::int64_t dim, std::int64_t classes,
              const SupConOptions& options) {
  return {.operation = "supcon",
          .variant = variant,
          .inputs = {uniform({rows, dim})},
          .function =
              [=](const std::vector<Tensor>& in) {
                return supcon(in[0], uneven_labels(rows, classes, in[0].device()), options);
              },
          .bf16 = false};  // features are f32, because l2_normalize converts them
}

// The usual case: after l2_normalize, which takes the activations' type.
Case normalized_case(const std::string& variant, std::int64_t rows, std::int64_t dim, std::int64_t classes,
                     float temperature, bool small = false) {
  return {.operation = "supcon",
          .variant = variant,
          .inputs = {uniform({rows, dim})},
          .function =
              [=](const std::vector<Tensor>& in) {
                const Tensor labels = uneven_labels(rows, classes, in[0].device());
                return supcon(l2_normalize(in[0]), labels, {.temperature = temperature});
              },
          .central_differences = small};
}

// Rows of two views, a mask that pairs neighbouring images, at most three positives.
Case mask_case(SupConVariant variant, SupConDenominator denominator) {
  constexpr std::int64_t images = 5;
  return {.operation = "supcon",
          .variant = "mask, cap and one view as anchors " + std::to_string(static_cast<int>(variant)) +
                     std::to_string(static_cast<int>(denominator)),
          .inputs = {uniform({2 * images, 3})},
          .function =
              [=](const std::vector<Tensor>& in) {
                std::vector<std::uint8_t> mask(images * images, 0);
                for (std::size_t i = 0; i < images; ++i)
                  for (std::size_t j = 0; j < images; ++j) mask[i * images + j] = i / 2 == j / 2;
                return supcon_with_mask(in[0], Tensor::from(mask, {images, images}, in[0].device()),
                                        {.temperature = 0.5f,
                                         .variant = variant,
                                         .denominator = denominator,
                                         .contrast = SupConContrast::one,
                                         .views = 2,
                                         .positives_cap = 2});
              },
          .bf16 = false};
}

Case variant_case(SupConVariant variant, SupConDenominator denominator) {
  return raw_case("variant " + std::to_string(static_cast<int>(variant)) + " over denominator " +
                      std::to_string(static_cast<int>(denominator)),
                  10, 4, 3, {.temperature = 0.5f, .variant = variant, .denominator = denominator});
}

// Six anchors against eight separate contrasts, one of them of no class. With a self offset of 2, anchor i is
// contrast i + 2.
Case against_case(const std::string& what, std::int64_t self_offset, const SupConOptions& options) {
  return {.operation = "supcon",
          .variant = "against contrasts, " + what,
          .inputs = {uniform({6, 3}), uniform({8, 3})},
          .function =
              [=](const std::vector<Tensor>& in) {
                const std::vector<std::int32_t> anchors = {0, 1, 1, 0, 2, 1},
                                                others = {1, 0, 0, 1, 1, -1, 0, 2};
                return supcon_against(in[0], Tensor::from(anchors, {6}, in[0].device()), in[1],
                                      Tensor::from(others, {8}, in[0].device()), self_offset, options);
              },
          .bf16 = false};
}

bool add_variants() {
  add_case(against_case("none of them an anchor", 8, {.temperature = 0.5f}));
  add_case(against_case("some of them anchors", 2, {.temperature = 0.5f, .base_temperature = 0.25f}));
  add_case(against_case("of first views", 8,
                        {.temperature = 0.5f,
                         .variant = SupConVariant::in,
                         .denominator = SupConDenominator::one_positive,
                         .contrast = SupConContrast::one,
                         .views = 2}));
  for (const SupConVariant variant : {SupConVariant::out, SupConVariant::in})
    for (const SupConDenominator denominator :
         {SupConDenominator::all, SupConDenominator::one_positive, SupConDenominator::only_negatives}) {
      add_case(variant_case(variant, denominator));
      add_case(mask_case(variant, denominator));
    }
  return true;
}

const bool variants_added = add_variants();

const bool added[] = {
    add_case(raw_case("plain", 9, 4, 4, {.temperature = 0.5f})),
    add_case(raw_case("three rows, one alone in its class", 3, 3, 2, {.temperature = 1})),
    add_case(raw_case("one class", 6, 3, 1, {.temperature = 0.7f})),
    add_case(raw_case("base temperature", 8, 5, 3, {.temperature = 0.5f, .base_temperature = 0.07f})),
    add_case(raw_case("mean over anchors with positives", 9, 4, 7,
                      {.temperature = 0.5f, .reduction = SupConReduction::anchors_with_positives})),
    add_case(normalized_case("normalised rows", 8, 5, 3, 0.2f, true)),
    add_case(normalized_case("less than a tile", 37, 19, 5, 0.1f)),
    add_case(normalized_case("several tiles, none full", 700, 64, 10, 0.1f)),
    add_case(normalized_case("one row more than a tile", 513, 8, 400, 0.5f)),
};

}  // namespace
}  // namespace kindred::gradcheck
