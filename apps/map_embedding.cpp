// Draws a map of an embedding: similar images lie together. As a page, a picture or a table.
#include <kindred/apps/analysis/flags_of_images.h>
#include <kindred/apps/analysis/image_table.h>
#include <kindred/apps/analysis/map/embedding_map.h>
#include <kindred/apps/analysis/map/map_table.h>
#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/data_options.h>
#include <kindred/apps/console/images/given_images.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/messages/bad_images_line.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/evaluation/similarities.h>
#include <kindred/apps/pages/map_view.h>
#include <kindred/apps/pages/page.h>
#include <kindred/apps/pages/picture_classes.h>
#include <kindred/apps/survey/map_picture.h>
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/data/loading/sample_reader.h>
#include <kindred/data/sets/subset.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr const char* map_stopped = "nothing was written; the same command begins anew";
constexpr NumberRange perplexities{"above 1, and at most 10000", 1.000001, 10000},
    map_iterations{"1 to 100000", 1, 100000}, map_limits{"0 (all) or more", 0},
    thumbnail_sides{"0 (none) to 256 pixels", 0, 256};
constexpr std::size_t looks_of_picture = 32;             // colours and marks of draw_map_picture()
constexpr std::size_t most_picture_bytes = 16 << 20;     // of a page
constexpr std::int64_t most_thumbnail_pixels = 1 << 24;  // in memory; more would not fit into the page either

struct Flags {
  DataFlags data;
  EncoderFlags encoder;
  std::vector<std::string> out;
  std::string method = "tsne";
  MapOptions map;
  std::int64_t limit = 0, thumbnails = 32;

  bool has_features_file() const { return data.shards.empty() && data.path.ends_with(".npz"); }
};

void add_flags(CommandLine& line, Flags& f) {
  f.data.takes_unlabelled = true;
  f.data.add_to(line);
  f.encoder.add_to(line);
  line.add("--out", f.out,
           "the file to write: .html, a page to walk through; .png, a picture; or .csv, a table with path, "
           "class, "
           "x and y; may be typed several times; an existing file is replaced")
      .required()
      .one_each()
      .writes_file();
  f.data.add_split_to(line,
                      "the images of a set to use (val if there are some, else test; all of a folder without "
                      "such parts)");
  line.add("--method", f.method, "tsne, or pca: the two directions in which the features differ most")
      .shows_default()
      .one_of({"tsne", "pca"});
  line.add("--perplexity", f.map.perplexity, "of t-SNE: about how many neighbours of an image count")
      .shows_default()
      .within(perplexities);
  line.add("--iterations", f.map.iterations, "of t-SNE").shows_default().within(map_iterations);
  line.add_seed(f.map.seed, "of t-SNE");
  line.add("--limit", f.limit, "use at most N images, evenly spread (0: all)").within(map_limits);
  line.add("--thumbnails", f.thumbnails, "longer side of the pictures in a page, in pixels; 0: none")
      .shows_default()
      .within(thumbnail_sides);
  line.add_quiet();
}

// In lower case, because the user may have written it in capitals.
std::string ending_of(const std::string& name) {
  std::string ending = fs::path(name).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return ending;
}

void check_features_alone(const CommandLine& line, const std::string& path) {
  const auto check_without = [&](const char* flag) {
    check(!line.has(flag), ExitCode::usage,
          "{}: {} holds features, so no image is read; leave it out, or give the folder of the images", flag,
          path);
  };
  for (const char* const flag : flags_of_images) check_without(flag);
  check_without("--thumbnails");
}

void check_flags(const CommandLine& line, Flags& f) {
  std::set<fs::path> names;
  for (const std::string& out : f.out) {
    const std::string ending = ending_of(out);
    check_output_file("--out", out, "map.html");
    check(
        ending == ".html" || ending == ".png" || ending == ".csv", ExitCode::usage,
        "--out {}: map_embedding writes .html, .png and .csv files; give --out {} or another name with one of "
        "these endings",
        out, fs::path(out).replace_extension(".html").string());
    std::error_code ignored;
    check(names.insert(fs::weakly_canonical(fs::absolute(out, ignored), ignored)).second, ExitCode::usage,
          "--out {}: given twice; give each file once", out);
    f.data.check_outside("--out", out);
  }
  f.map.method = f.method == "pca" ? MapMethod::pca : MapMethod::t_sne;
  if (f.has_features_file()) {
    check_features_alone(line, f.data.path);
    give_advice_for({"--out"});  // of the program's flags the one that a features file leaves
    return;
  }
  f.data.check_values();
  check(!f.encoder.file().empty(), ExitCode::usage,
        "{}: give --encoder RUN/encoder.safetensors or --weights FILE, which computes the features of its "
        "images; or "
        "give a .npz file of embed instead",
        f.data.path);
  f.encoder.check_values();
}

// What is drawn, and what it is called: "DIR (val)".
struct Drawn {
  ImageTable table;
  std::string name;
  std::vector<BadImage> bad{};
};

Drawn read_features(const Flags& f) {
  Drawn drawn{read_image_table(f.data.path), f.data.path};
  const std::int64_t rows = drawn.table.rows();
  if (f.limit > 0 && f.limit < rows) {
    std::vector<std::int64_t> chosen;
    for (std::int64_t i = 0; i < f.limit; ++i) chosen.push_back(i * rows / f.limit);
    drawn.table = drawn.table.selected(chosen);
  }
  return drawn;
}

Drawn embed(Flags& f) {
  f.data.exif = f.encoder.encoder_info().exif;
  const Dataset set = evenly_spread(open_images(f.data), f.limit);
  const auto frozen = f.encoder.load();
  TableOptions options;
  const bool has_page =
      std::any_of(f.out.begin(), f.out.end(), [](const std::string& out) { return ending_of(out) == ".html"; });
  if (has_page && f.thumbnails > 0) {
    options.thumbnail_side = static_cast<int>(f.thumbnails);
    options.most_thumbnails = most_thumbnail_pixels / (f.thumbnails * f.thumbnails);
  }
  options.stopped = map_stopped;
  Drawn drawn{{}, fmt::format("{} ({})", set.origin().folder, set.origin().part)};
  drawn.table = embed_images({set}, *frozen, options, &drawn.bad);
  std::erase_if(drawn.bad, [](const BadImage& image) { return image.outcome != Outcome::rejected; });
  return drawn;
}

// A bar for each stage of the work.
class StageProgress {
 public:
  void show(MapStage stage, std::int64_t done, std::int64_t total) {
    end_if_interrupted(map_stopped);
    if (!bar_ || stage != stage_) {
      bar_.reset();
      bar_.emplace(stage == MapStage::neighbours ? "neighbours" : "t-SNE", total,
                   stage == MapStage::neighbours ? "images" : "iterations");
      stage_ = stage;
      shown_ = 0;
    }
    for (; shown_ < done; ++shown_) bar_->advance(1, "");
  }

 private:
  std::optional<Progress> bar_;
  MapStage stage_ = MapStage::neighbours;
  std::int64_t shown_ = 0;
};

EmbeddingMap draw_map(const Flags& f, const ImageTable& table) {
  MapOptions options = f.map;
  StageProgress progress;
  options.progress = [&](MapStage stage, std::int64_t done, std::int64_t total) {
    progress.show(stage, done, total);
  };
  EmbeddingMap map = map_embedding(table.features, table.dim, options);
  end_if_interrupted(map_stopped);
  return map;
}

std::string described(const Flags& f, const EmbeddingMap& map) {
  if (f.map.method == MapMethod::pca)
    return fmt::format("PCA, {:.1f} % and {:.1f} % of the variance", 100 * map.shares[0], 100 * map.shares[1]);
  return fmt::format("t-SNE of cosines, perplexity {:.4g}, {}, divergence {:.3f}", map.perplexity,
                     counted(f.map.iterations, "iteration"), map.divergence);
}

// A class without a look of its own is told: it could be taken for another one.
void write_picture(const std::string& out, const ImageTable& table, const EmbeddingMap& map) {
  const PictureClasses shown = picture_classes(table, looks_of_picture);
  if (const std::string note = shown.note(); !note.empty())
    fmt::print("note: {}\n", one_line(fmt::format("{}: {}; .html and .csv tell them all apart", out, note)));
  draw_map_picture(
      out, {map.xy, shown.labels, shown.names, shown.names.size() - static_cast<std::size_t>(shown.own)});
}

void write_map_page(const std::string& out, const Flags& f, const Drawn& drawn, const EmbeddingMap& map) {
  const nlohmann::json data = {{"map", map_json(drawn.table, {map.xy}, most_picture_bytes)}};
  Page page{.title = "Map of " + drawn.name, .data = &data, .scripts = {"map.js"}};
  page.body = fmt::format("<h1>{}</h1>\n<p class=\"soft\">{}; {}.</p>\n{}", html_text(page.title),
                          html_text(counted(drawn.table.rows(), "image")), html_text(described(f, map)),
                          map_element("map", drawn.table));
  write_page(out, page);
}

int run_map_embedding(int argc, char** argv) {
  CommandLine line(
      "Draws a map of images, on which similar ones lie together. DIR may also be a .npz file of embed; a "
      "folder of images, or a text file (.txt) with a path on each line.",
      "map_embedding");
  Flags flags;
  add_flags(line, flags);
  if (const auto done = line.parse(argc, argv)) return *done;
  check_flags(line, flags);
  // Each file is begun and dropped: where it cannot be written, that is known before the work and not after it.
  for (const std::string& out : flags.out) const AtomicFile tried(out);
  watch_for_interrupts();
  const Drawn drawn = flags.has_features_file() ? read_features(flags) : embed(flags);
  fmt::print("{}", equal_rows_warning(drawn.table.features, drawn.table.dim, "the map says nothing"));
  const EmbeddingMap map = draw_map(flags, drawn.table);
  if (flags.map.method == MapMethod::t_sne && map.perplexity < flags.map.perplexity)
    fmt::print(
        "note: --perplexity {:.4g} is lowered to {:.4g}: an image needs three times as many neighbours\n",
        flags.map.perplexity, map.perplexity);
  for (const std::string& out : flags.out) {
    const std::string ending = ending_of(out);
    if (ending == ".csv")
      write_file_atomically(out, map_table(drawn.table, map.xy));
    else if (ending == ".png")
      write_picture(out, drawn.table, map);
    else
      write_map_page(out, flags, drawn, map);
  }
  results_follow();
  for (const std::string& out : flags.out)
    fmt::print("{}\n", one_line(fmt::format("{}: {} of {}, {}", out, counted(drawn.table.rows(), "image"),
                                            drawn.name, described(flags, map))));
  if (!drawn.bad.empty()) fmt::print("{}\n", left_out_line(drawn.bad.size(), drawn.bad[0]));
  return 0;
}

const Program map_embedding_program("map_embedding", "draws a map of images by their features",
                                    run_map_embedding);

}  // namespace
}  // namespace kindred
