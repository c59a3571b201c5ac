// The losses that depend on distances, and N-pairs.
#include "gradcheck.h"

#include <kindred/losses/max_margin/max_margin.h>
#include <kindred/losses/n_pairs/n_pairs.h>
#include <kindred/losses/triplet/triplet.h>

#include <string>

namespace kindred::gradcheck {
namespace {

Tensor labels_of(std::int64_t rows, std::int64_t classes, Device device) {
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < rows; ++i) labels.push_back(static_cast<std::int32_t>(i * i % classes));
  return Tensor::from(labels, {rows}, device);
}

// Random rows. No triplet is so close to its kink, and no two rows are so close to each other, that a step of
// the central difference would cross the kink.
Case triplet_case(TripletMining mining, TripletReduction reduction, std::int64_t rows, std::int64_t dim,
                  bool small) {
  return {.operation = "triplet",
          .variant = "mining " + std::to_string(static_cast<int>(mining)) + " over " +
                     std::to_string(static_cast<int>(reduction)) + ", " + std::to_string(rows) + " rows",
          .inputs = {uniform({rows, dim})},
          .function =
              [=](const std::vector<Tensor>& in) {
                return triplet(in[0], labels_of(rows, 5, in[0].device()),
                               {.margin = 0.4f, .mining = mining, .reduction = reduction});
              },
          .central_differences = small,
          .bf16 = small};
}

Case max_margin_case(std::int64_t rows, std::int64_t dim, bool small) {
  return {.operation = "max_margin",
          .variant = std::to_string(rows) + " rows",
          .inputs = {uniform({rows, dim})},
          .function =
              [=](const std::vector<Tensor>& in) {
                return max_margin(in[0], labels_of(rows, 5, in[0].device()), {.margin = 1.2f});
              },
          .central_differences = small};
}

Case n_pairs_case(std::int64_t images, std::int64_t dim, bool small) {
  return {.operation = "n_pairs",
          .variant = std::to_string(images) + " images",
          .inputs = {uniform({2 * images, dim})},
          .function =
              [=](const std::vector<Tensor>& in) {
                std::vector<std::int32_t> labels;
                for (std::int64_t row = 0; row < 2 * images; ++row)
                  labels.push_back(static_cast<std::int32_t>(row % images * (row % images) % 5));
                return n_pairs(in[0], Tensor::from(labels, {2 * images}, in[0].device()),
                               {.temperature = 0.5f});
              },
          .central_differences = small,
          .bf16 = false};
}

bool add_all() {
  for (const TripletMining mining :
       {TripletMining::batch_all, TripletMining::batch_hard, TripletMining::semi_hard})
    for (const TripletReduction reduction : {TripletReduction::chosen, TripletReduction::active}) {
      add_case(triplet_case(mining, reduction, 9, 4, true));
      add_case(triplet_case(mining, reduction, 67, 7, false));
    }
  add_case(max_margin_case(9, 4, true));
  add_case(max_margin_case(131, 7, false));
  add_case(n_pairs_case(6, 3, true));
  add_case(n_pairs_case(150, 9, false));
  return true;
}

const bool added = add_all();

}  // namespace
}  // namespace kindred::gradcheck
