// Galleries of a report: sample images with their nearest neighbours, and images whose label looks wrong.
#pragma once

#include <kindred/apps/analysis/image_table.h>
#include <kindred/apps/analysis/neighbours.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kindred {

// At most `most` of the rows, evenly spread.
std::vector<std::int64_t> spread_rows(const std::vector<std::int64_t>& rows, std::size_t most);

// Sample images of `queries`, each followed by its nearest ones of `bank`, which `neighbours` names for each query. If there are
// classes, `named` gives the class that the neighbours voted for: first up to 8 queries that were named wrongly, then up to 6
// others.
std::string neighbour_galleries(const ImageTable& queries, const ImageTable& bank, const Neighbours& neighbours,
                                const std::vector<std::int32_t>& named);

// The images whose label their neighbours contradict most, up to 24, each with its reason; a sentence if there are
// none. Throws Error(usage) in a build without FAISS.
std::string doubtful_labels(const ImageTable& table);

}  // namespace kindred
