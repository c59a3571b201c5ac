// What TensorBoard's projector shows of a run: features of images that it is evaluated on, in RUN/tensorboard.
#pragma once

#include <kindred/apps/evaluation/nearest_neighbours.h>
#include <kindred/apps/metrics/projector_files.h>
#include <kindred/data/loading/loader.h>
#include <kindred/data/sets/dataset.h>

#include <cstdint>
#include <filesystem>
#include <vector>

namespace kindred {

inline constexpr std::int64_t most_projected = 1000;  // images
inline constexpr int projected_side = 32;             // of a thumbnail, in pixels

// The images whose features were measured, as the projector takes them: at most most_projected, evenly spread over the rows.
// `rows` [features.rows()] says which image of the set each row is of. Features have unit length, because they are compared by
// their cosine; those that are zero stay so. Thumbnails are the images as the network sees them, at their size; of an image that
// cannot be read again it is gray. `workers` threads load them. Ends early after a signal. Throws what Loader does.
ProjectorImages projected_images(const Dataset& set, const std::vector<std::int64_t>& rows,
                                 const FeatureTable& features, ResizeMode resize, int workers);

// Writes them (projector_files.h). Never throws: a run does without them, and a line that begins with "warning: " says why.
// Writes nothing after a signal, if there are no rows, and in a build that writes no events.
void write_projector(const std::filesystem::path& run, const Dataset& set,
                     const std::vector<std::int64_t>& rows, const FeatureTable& features, ResizeMode resize,
                     int workers, std::int64_t epoch);

}  // namespace kindred
