// similar search: the nearest images of an index.
#include <kindred/apps/analysis/neighbours.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/features.h>
#include <kindred/apps/similarity/embed_parts.h>
#include <kindred/apps/similarity/index_encoder.h>
#include <kindred/apps/similarity/similarity_index.h>
#include <kindred/apps/similarity/words/asked_images.h>
#include <kindred/apps/similarity/words/search_answers.h>
#include <kindred/apps/similarity/words/words.h>
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <vector>

namespace kindred {
namespace {

constexpr NumberRange found_at_most{"1 to 100000", 1, 100'000}, search_efforts{"1 to 1048576", 1, 1'048'576};

struct SearchFlags {
  std::string index, html;
  std::vector<std::string> images;
  EncoderFlags encoder;
  std::int64_t neighbours = 10;
  third_party::SearchEffort effort;
  bool json = false, csv = false;
};

void add_search_flags(CommandLine& line, SearchFlags& f) {
  line.add("INDEX", f.index, "a folder that `similar index` made").required();
  line.add("IMAGE", f.images,
           "image files, folders of images, and lists: text files (.txt) with a path on each line")
      .required();
  f.encoder.add_to(line);
  line.add("-k,--neighbours", f.neighbours, "images to name for each IMAGE")
      .shows_default()
      .within(found_at_most);
  line.add("--html", f.html, "write a page with the pictures to this file").writes_file();
  const Flag json = line.add_switch("--json", f.json, "a list of objects instead of lines");
  line.add_switch("--csv", f.csv, "a table instead: image, rank, similarity, class, part, path, error")
      .excludes(json);
  line.add("--nprobe", f.effort.nprobe,
           "of an index with IVF: lists to visit for each IMAGE (a sixteenth of all, at least 8); more finds "
           "more of "
           "the nearest")
      .within(search_efforts);
  line.add("--ef-search", f.effort.ef_search, "of an index with HNSW: candidates to keep (64); more finds more")
      .within(search_efforts);
}

// Embeds these images and searches for them.
std::vector<SearchAnswer> search_for(std::span<const AskedImage> images, const SimilarityIndex& index,
                                     FrozenEncoder& frozen, const SearchFlags& f) {
  DecodeLimits limits;
  limits.exif = frozen.info.exif;
  std::vector<SearchAnswer> answers(images.size());
  std::vector<std::string> paths;
  std::vector<std::size_t> places, readable;  // of the answers
  for (std::size_t i = 0; i < images.size(); ++i) {
    answers[i].path = images[i].path;
    answers[i].problem = images[i].problem;
    if (!images[i].problem.empty()) continue;
    paths.push_back(images[i].path);
    places.push_back(i);
  }
  if (paths.empty()) return answers;
  std::vector<float> queries;
  std::vector<BadImage> bad;
  const auto keep = [&](const Batch& batch, const Tensor& features) {
    const Tensor rows = finite_on_host(features);
    const auto unit = unit_rows({rows.data<float>(), static_cast<std::size_t>(rows.numel())}, index.dim());
    queries.insert(queries.end(), unit.begin(), unit.end());
    std::vector<Image> pictures;
    if (!f.html.empty()) pictures = pictures_of(batch, frozen.features.image_size, usual_thumbnail_side);
    for (std::size_t i = 0; i < batch.indices.size(); ++i) {
      readable.push_back(places[static_cast<std::size_t>(batch.indices[i])]);
      if (!pictures.empty()) answers[readable.back()].picture = std::move(pictures[i]);
    }
  };
  for_each_feature_batch(*frozen.encoder, open_image_files(paths, limits), frozen.features, keep, &bad);
  for (const BadImage& image : bad)
    if (image.outcome == Outcome::rejected)
      answers[places[static_cast<std::size_t>(image.index)]].problem = image.reason;
  std::vector<FoundImages> found = index.search(queries, f.neighbours);
  for (std::size_t i = 0; i < readable.size(); ++i) answers[readable[i]].found = std::move(found[i]);
  return answers;
}

// The page would take the place of what is searched for.
void check_is_no_input(const std::string& html, const std::string& input) {
  std::error_code ignored;
  check(html.empty() || !std::filesystem::equivalent(html, input, ignored), ExitCode::usage,
        "--html {}: this is one of the images that are searched for, or their list; give another name", html);
}

void note_small_index(const SearchFlags& f, const SimilarityIndex& index) {
  if (f.neighbours > index.rows())
    fmt::print(stderr, "note: {} has {}, so there are no {} neighbours\n", one_line(f.index),
               counted(index.rows(), "image"), f.neighbours);
}

}  // namespace

int search_images(int argc, char** argv) {
  CommandLine line("Names the images of an index that are most similar to the given ones.", "similar search");
  SearchFlags flags;
  add_search_flags(line, flags);
  if (const auto done = line.parse(argc, argv)) return *done;
  check_output_file("--html", flags.html, "page.html");
  check_not_in_index("--html", flags.html);
  check_ending("--html", flags.html, ".html");
  SimilarityIndex index = SimilarityIndex::open(flags.index);
  take_encoder_of_index(flags.index, index.content(), flags.encoder);
  flags.encoder.check_values();
  if (flags.effort.nprobe > 0 || flags.effort.ef_search > 0) index.set_effort(flags.effort);
  watch_for_interrupts();
  const std::vector<AskedImage> images = asked_images(flags.images);
  for (const std::string& given : flags.images) check_is_no_input(flags.html, given);
  for (const AskedImage& image : images) check_is_no_input(flags.html, image.path);
  hide_progress();  // standard output has the answers alone
  const auto frozen = load_encoder_of_index(flags.index, index.content(), flags.encoder, stderr);
  note_small_index(flags, index);

  SearchPrinter printer(index, flags.csv ? SearchForm::csv : flags.json ? SearchForm::json : SearchForm::lines);
  SearchPage page(index);
  const auto at_once = static_cast<std::size_t>(flags.encoder.batch_size);
  std::size_t done = 0, unreadable = 0;
  std::string first_unreadable;
  while (done < images.size() && interrupt_signal() == 0) {
    const auto some = std::span(images).subspan(done, std::min(at_once, images.size() - done));
    std::vector<SearchAnswer> answers;
    try {
      answers = search_for(some, index, *frozen, flags);
    } catch (const Error&) {
      if (done > 0) printer.finish();  // what is printed is whole
      throw;
    }
    for (const SearchAnswer& answer : answers) {
      printer.print(answer);
      if (!flags.html.empty()) page.add(answer);
      if (!answer.problem.empty() && unreadable++ == 0)
        first_unreadable = fmt::format("{}: {}", one_line(answer.path), answer.problem);
    }
    done += some.size();
  }
  printer.finish();  // also after a signal: what is printed is whole, and the code says that images are missing
  if (done < images.size())
    end_if_interrupted(fmt::format("{} of {} were searched for; the same command begins anew", done,
                                   counted(images.size(), "image")));
  if (!flags.html.empty()) page.write(flags.html);
  check(unreadable == 0, ExitCode::data, "{} of {} could not be read{}{}", unreadable,
        counted(images.size(), "image"), unreadable > 1 ? ", for example " : ": ", first_unreadable);
  return 0;
}

}  // namespace kindred
