// Cosines of all rows of a table with all rows of another, a tile of queries at a time: what figures about neighbours are
// counted from.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

// The rows divided by their length, [rows, dim]; a row of zeros stays one.
std::vector<float> unit_rows(std::span<const float> features, std::int64_t dim);

// "warning: the features of all 12 images are equal, so <so>: ..." with a newline; "" if two rows differ or there are fewer than two.
std::string equal_rows_warning(std::span<const float> features, std::int64_t dim, std::string_view so);

// Neighbours vote with the weight exp(cosine / temperature) (Wu et al. 2018, arXiv 1805.01978); of this one only the ratio
// counts, and it does not overflow.
double vote_weight(float cosine);

// How many queries are compared at a time: at most 256, and fewer if their cosines with `rows` rows would take more than
// 256 MiB. It does not depend on the number of threads.
std::int64_t queries_of_tile(std::int64_t rows);

// similarities[q * bank rows + r] for `count` queries from row `first` on. Rows of unit length, [rows, dim] each.
void tile_similarities(std::span<const float> queries, std::int64_t first, std::int64_t count,
                       std::span<const float> bank, std::int64_t dim, std::vector<float>& similarities);

// Puts the rows with the largest of these similarities in front, the largest first: the first `count` of `order` [rows]. Of
// equal similarities the earlier row comes first, so the result does not depend on how sorting works.
void put_nearest_first(std::span<const float> similarities, std::int64_t count,
                       std::vector<std::int64_t>& order);

}  // namespace kindred
