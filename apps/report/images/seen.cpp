#include <kindred/apps/analysis/map/embedding_map.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/pages/map_view.h>
#include <kindred/apps/report/images/class_section.h>
#include <kindred/apps/report/images/sample_galleries.h>
#include <kindred/apps/report/images/seen.h>
#include <kindred/apps/report/images/view_sheet.h>
#include <kindred/apps/report/images/votes.h>
#include <kindred/data/sets/subset.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/models/classifier_file.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace kindred {
namespace {

constexpr int thumbnail_side = 96;
constexpr std::int64_t neighbours_asked = 20;  // as many as vote for the accuracy of a run

// Makes a part of the page. What is wrong with it is a note, and the other parts are made nevertheless.
template <typename Make>
void make_part(Seen& seen, const char* what, const Make& make) {
  try {
    make();
  } catch (const Error& error) {
    if (error.code() == ExitCode::interrupted) throw;
    seen.notes.push_back(fmt::format("{} is left out: {}", what, error.what()));
  }
}

std::uint64_t seed_of_run(const RunFiles& run) {
  const auto seed = run.config.find("seed");
  return seed != run.config.end() && seed->is_number_unsigned() ? seed->get<std::uint64_t>() : 0;
}

// Looks at the features of the run's images.
class ImageViewer {
 public:
  ImageViewer(const RunFiles& run, const RunImages& images, FrozenEncoder& frozen, const SeenOptions& options,
              Seen& seen)
      : run_(run), options_(options), seen_(seen), frozen_(frozen) {
    bank_ = table_of(images.train, options.most_training, "looking at training images");
    has_evaluation_ = images.evaluation.has_value();
    if (has_evaluation_) {
      queries_ = table_of(*images.evaluation, options.most_evaluation, "looking at evaluation images");
      unify_classes(bank_, queries_);
    }
  }

  void find_neighbours() {
    const std::vector<float> bank = unit_rows(bank_.features, bank_.dim);
    const auto progress = [&](std::int64_t, std::int64_t) { end_if_interrupted(options_.stopped); };
    const std::int64_t others = bank_.rows() - (has_evaluation_ ? 0 : 1);
    if (others < 1) return;
    const std::int64_t each = std::min(neighbours_asked, others);
    neighbours_ = has_evaluation_
                      ? nearest(bank, unit_rows(queries_.features, queries_.dim), bank_.dim, each, progress)
                      : nearest_others(bank, bank_.dim, each, progress);
    if (has_classes()) voted_ = voted_classes(neighbours_, bank_.labels);
  }

  void show_classes() {
    if (!has_classes()) return;
    std::vector<NamedBy> results;
    if (const auto found = find_classifier(run_.folder, shown().dim, encoder_checksum(frozen_.store)))
      make_part(seen_, "the classifier", [&] {
        results.push_back({found->what, classified(load_classifier(found->file, shown().dim), shown())});
      });
    if (!voted_.empty())
      results.push_back(
          {fmt::format("{} nearest of {}", neighbours_.each, counted(bank_.rows(), "training image")), voted_});
    if (results.empty()) return;
    ClassSection section = class_section(shown(), results);
    seen_.classes = std::move(section.html);
    seen_.confusion = std::move(section.confusion);
  }

  void show_neighbours() {
    if (neighbours_.queries() > 0) seen_.neighbours = neighbour_galleries(shown(), bank_, neighbours_, voted_);
  }

  void show_map() {
    MapOptions how;
    const bool is_quick = options_.has_quick_map || shown().rows() < fewest_for_t_sne;
    how.method = is_quick ? MapMethod::pca : MapMethod::t_sne;
    how.seed = seed_of_run(run_);
    how.iterations = options_.map_iterations;
    how.progress = [&](MapStage, std::int64_t, std::int64_t) { end_if_interrupted(options_.stopped); };
    if (shown().rows() < fewest_for_pca) return;
    const EmbeddingMap map = map_embedding(shown().features, shown().dim, how);
    seen_.map_data = map_json(shown(), {map.xy}, options_.most_map_bytes);
    const std::string made =
        is_quick
            ? fmt::format("the two directions in which they differ most, which hold {:.0f} % of the variance",
                          100 * (map.shares[0] + map.shares[1]))
            : fmt::format("t-SNE of perplexity {:.0f}: near points are alike, far ones need not be unlike",
                          map.perplexity);
    seen_.map =
        fmt::format("<p class=\"soft\">{}, by {}.</p>\n", counted(shown().rows(), what_images()), made) +
        map_element("map", shown());
  }

  void show_doubts() {
    ImageTable all = bank_;
    if (has_evaluation_ && has_classes()) {
      all.features.insert(all.features.end(), queries_.features.begin(), queries_.features.end());
      all.paths.insert(all.paths.end(), queries_.paths.begin(), queries_.paths.end());
      all.labels.insert(all.labels.end(), queries_.labels.begin(), queries_.labels.end());
      all.thumbnails.insert(all.thumbnails.end(), queries_.thumbnails.begin(), queries_.thumbnails.end());
      all.parts_of.assign(all.paths.size(), 0);
    }
    seen_.doubts = doubtful_labels(all);
  }

 private:
  ImageTable table_of(const Dataset& set, std::int64_t most, const char* what) {
    TableOptions how{.thumbnail_side = thumbnail_side, .what = what, .stopped = options_.stopped};
    return embed_images({set.size() > most ? evenly_spread(set, most) : set}, frozen_, how);
  }

  const ImageTable& shown() const { return has_evaluation_ ? queries_ : bank_; }
  bool has_classes() const { return bank_.has_classes() && shown().has_classes(); }
  const char* what_images() const { return has_evaluation_ ? "evaluation image" : "training image"; }

  const RunFiles& run_;
  const SeenOptions& options_;
  Seen& seen_;
  FrozenEncoder& frozen_;
  ImageTable bank_{}, queries_{};
  bool has_evaluation_ = false;
  Neighbours neighbours_{};
  std::vector<std::int32_t> voted_{};
};

}  // namespace

SeenOptions seen_after_run_of(std::int64_t views) {
  constexpr std::int64_t passes_of_view = 3;  // backward takes about twice the time of forward
  constexpr std::int64_t share = 200, least_part = 4;
  const SeenOptions all;
  const std::int64_t most = all.most_evaluation + all.most_training;
  const std::int64_t images = std::max<std::int64_t>(0, views) / share * passes_of_view;
  SeenOptions options;
  if (images >= most) return options;
  options.most_evaluation = std::max(all.most_evaluation / least_part, images * all.most_evaluation / most);
  options.most_training = std::max(all.most_training / least_part, images * all.most_training / most);
  return options;
}

Seen look_at_images(const RunFiles& run, const RunImages& images,
                    const std::function<std::unique_ptr<FrozenEncoder>()>& load, const SeenOptions& options) {
  Seen seen;
  make_part(seen, "the sheet of views",
            [&] { seen.views = view_sheet(images.train, views_of_run(run), seed_of_run(run)); });
  make_part(seen, "what the encoder sees", [&] {
    const std::unique_ptr<FrozenEncoder> frozen = load();
    ImageViewer viewer(run, images, *frozen, options, seen);
    make_part(seen, "what is nearest", [&] { viewer.find_neighbours(); });
    make_part(seen, "the accuracy of classes", [&] { viewer.show_classes(); });
    make_part(seen, "the gallery of neighbours", [&] { viewer.show_neighbours(); });
    make_part(seen, "the map", [&] { viewer.show_map(); });
    make_part(seen, "the list of doubtful labels", [&] { viewer.show_doubts(); });
  });
  return seen;
}

}  // namespace kindred
