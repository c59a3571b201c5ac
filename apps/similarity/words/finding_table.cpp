#include <kindred/apps/analysis/flags_of_images.h>
#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/messages/bad_images_line.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/similarities.h>
#include <kindred/apps/pages/page.h>
#include <kindred/apps/similarity/all_parts.h>
#include <kindred/apps/similarity/embed_parts.h>
#include <kindred/apps/similarity/similarity_index.h>
#include <kindred/apps/similarity/words/finding_table.h>
#include <kindred/apps/similarity/words/words.h>  // defines: no_class
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/data/images/shrink.h>
#include <kindred/data/loading/sample_reader.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <new>
#include <system_error>
#include <unordered_map>
#include <utility>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr const char* finding_stopped = "nothing was written; the same command begins anew";

[[noreturn]] void refuse_for_memory(const std::string& from) {
  throw OutOfMemory(
      fmt::format("{}: there is not enough memory to compare the features of its images; give fewer images",
                  from),
      Cause::other);
}

// Runs what needs memory for the features of all images. The line about memory that is missing names no flag, because none makes
// features smaller.
template <typename Work>
auto with_memory_for(const std::string& from, Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    refuse_for_memory(from);
  } catch (const OutOfMemory&) {
    refuse_for_memory(from);
  }
}

Image shrunk_picture(const Decoded& decoded) {
  return decoded.outcome == Outcome::rejected ? Image() : shrink_to(decoded.image, usual_thumbnail_side);
}

// Numbers of names, in the order in which they first come.
class NumberedNames {
 public:
  std::int32_t number_of(const std::string& name) {
    const auto [at, is_new] = numbers_.emplace(name, static_cast<std::int32_t>(names_.size()));
    if (is_new) names_.push_back(name);
    return at->second;
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::map<std::string, std::int32_t> numbers_;
  std::vector<std::string> names_;
};

// Images with classes and such without may be in one index. Where `labelled` asks for classes the latter are left out.
void add_index_row(ImageTable& table, const OpenSegment& segment, std::int64_t row, const IndexedImage& image) {
  const auto width = static_cast<std::size_t>(table.dim);
  const auto values = segment.features().subspan(static_cast<std::size_t>(row) * width, width);
  check(std::ranges::all_of(values, [](float value) { return std::isfinite(value); }), ExitCode::file,
        "the features of {} are not finite: the index is damaged; make it again", image.path);
  table.features.insert(table.features.end(), values.begin(), values.end());
  table.paths.push_back(image.path);
}

// Where labels are asked about, images without one have none to doubt and none to vote with.
void tell_of_unlabelled(std::int64_t without_class) {
  if (without_class > 0) fmt::print("note: {} without a class left out\n", counted(without_class, "image"));
}

FindingTable table_of_index(const std::string& path, bool labelled) {
  const auto index = std::make_shared<const SimilarityIndex>(SimilarityIndex::open(path));
  FindingTable found;
  ImageTable& table = found.table;
  table.dim = index->dim();
  table.features.reserve(static_cast<std::size_t>(index->rows() * index->dim()));
  NumberedNames classes, parts;
  std::vector<std::int64_t> rows;
  std::int64_t first = 0, without_class = 0;
  for (const auto& segment : index->segments()) {
    for (std::int64_t row = 0; row < segment->rows(); ++row) {
      const IndexedImage image = segment->image(row);
      without_class += image.class_name.empty();
      if (labelled && image.class_name.empty()) continue;
      add_index_row(table, *segment, row, image);
      table.labels.push_back(image.class_name.empty() ? -1 : classes.number_of(image.class_name));
      table.parts_of.push_back(parts.number_of(image.part));
      rows.push_back(first + row);
    }
    first += segment->rows();
  }
  check(!rows.empty(), ExitCode::data, "{}: its images have no classes, so no label can be wrong", path);
  if (labelled) tell_of_unlabelled(without_class);
  if (without_class == std::ssize(rows)) table.labels.clear();  // none has a class
  if (table.has_classes()) table.classes = classes.names();
  table.parts = parts.names();
  found.picture = [index, rows = std::move(rows)](std::int64_t row) {
    return index->picture(rows[static_cast<std::size_t>(row)]);
  };
  return found;
}

FindingTable table_of_file(const std::string& path, bool labelled) {
  FindingTable found;
  found.table = read_image_table(path);
  if (labelled && found.table.has_classes()) {
    std::vector<std::int64_t> with_class;
    for (std::int64_t row = 0; row < found.table.rows(); ++row)
      if (found.table.labels[static_cast<std::size_t>(row)] >= 0) with_class.push_back(row);
    tell_of_unlabelled(found.table.rows() - std::ssize(with_class));
    if (std::ssize(with_class) < found.table.rows()) found.table = found.table.selected(with_class);
  }
  found.picture = [paths = found.table.paths](std::int64_t row) {
    return shrunk_picture(decode_file(paths[static_cast<std::size_t>(row)]));
  };
  return found;
}

FindingTable table_of_set(DataFlags& data, const EncoderFlags& encoder) {
  encoder.check_values();
  data.exif = encoder.encoder_info().exif;
  const std::vector<Dataset> parts = open_all_parts(data);
  const auto frozen = encoder.load();
  std::vector<BadImage> bad;
  FindingTable found;
  found.table = embed_images(parts, *frozen, {.stopped = finding_stopped}, &bad);
  std::erase_if(bad, [](const BadImage& image) { return image.outcome != Outcome::rejected; });
  if (!bad.empty()) fmt::print("warning: {}\n", left_out_line(bad.size(), bad[0]));
  // Pictures are read again where they are shown. Names tell images apart.
  using Place = std::pair<std::size_t, std::int64_t>;
  auto places = std::make_shared<std::unordered_map<std::string, Place>>();
  for (std::size_t part = 0; part < parts.size(); ++part)
    for (std::int64_t i = 0; i < parts[part].size(); ++i) places->try_emplace(parts[part].name(i), part, i);
  found.picture = [parts, places, paths = found.table.paths](std::int64_t row) {
    const auto place = places->find(paths[static_cast<std::size_t>(row)]);
    if (place == places->end()) return Image();
    return shrunk_picture(parts[place->second.first].load(place->second.second));
  };
  return found;
}

}  // namespace

void FindingFlags::add_to(CommandLine& line, const std::string& listed) {
  data.takes_unlabelled = true;
  data.add_to(line);
  encoder.add_to(line);
  data.add_split_to(line, "the images of a set to use (all that it has)");
  line.add("--html", html, "write a page with the pictures to this file").writes_file();
  line.add("--csv", csv, "write all that is found as a table to this file").writes_file();
  line.add("--list", list, fmt::format("{} to print; the table has all", listed))
      .shows_default()
      .within(not_negative_numbers);
  line.add_quiet();
}

bool FindingFlags::is_file_of_features() const {
  std::error_code ignored;
  return data.shards.empty() && data.path.ends_with(".npz") && !fs::is_directory(data.path, ignored);
}

bool FindingFlags::is_index() const {
  std::error_code ignored;
  return data.shards.empty() && fs::exists(fs::path(data.path) / index_file_name, ignored);
}

void FindingFlags::begin(const CommandLine& line) {
  if (is_file_of_features() || is_index()) {
    for (const char* const flag : flags_of_images)
      check(!line.has(flag), ExitCode::usage, "{}: {} holds features already, of all its images; leave it out",
            flag, data.path);
    give_advice_for({"--list"});  // about memory: no flag makes features smaller
  }
  data.check_values();
  check_output_file("--html", html, "page.html");
  check_output_file("--csv", csv, "found.csv");
  check_not_in_index("--html", html);
  check_not_in_index("--csv", csv);
  check_ending("--html", html, ".html");
  check_ending("--csv", csv, ".csv");
  watch_for_interrupts();
}

FindingTable FindingFlags::read(bool labelled) {
  FindingTable found;
  data.check_outside("--html", html);
  data.check_outside("--csv", csv);
  if (is_file_of_features() || is_index())
    found = with_memory_for(data.path, [&] {
      return is_file_of_features() ? table_of_file(data.path, labelled) : table_of_index(data.path, labelled);
    });
  else
    found = table_of_set(data, encoder);
  found.from = data.path;
  found.table.features =
      with_memory_for(data.path, [&] { return unit_rows(found.table.features, found.table.dim); });
  std::int64_t zeros = 0;
  for (std::int64_t row = 0; row < found.table.rows(); ++row)
    zeros += std::ranges::all_of(found.table.row(row), [](float value) { return value == 0; });
  if (zeros > 0)
    fmt::print("warning: the features of {} are all zero, so nothing is near or far from {}\n",
               counted(zeros, "image"), zeros == 1 ? "it" : "them");
  if (zeros < found.table.rows())
    fmt::print("{}", equal_rows_warning(found.table.features, found.table.dim, "none is nearer than another"));
  return found;
}

Neighbours others_of(const FindingTable& found, std::int64_t each) {
  const std::int64_t rows = found.table.rows();
  check(rows > 1, ExitCode::data, "{}: it has a single image, which can be compared with no others",
        found.from);
  Progress progress("comparing", (rows + 1023) / 1024, "images");
  std::int64_t before = 0;
  const auto show = [&](std::int64_t done, std::int64_t) {
    progress.advance(done - before, "");
    before = done;
    end_if_interrupted(finding_stopped);
  };
  return with_memory_for(found.from, [&] {
    return nearest_others(found.table.features, found.table.dim, std::min(each, rows - 1), show);
  });
}

std::string class_in(const ImageTable& table, std::int64_t row) {
  const std::int32_t label = table.has_classes() ? table.labels[static_cast<std::size_t>(row)] : -1;
  return label < 0 ? std::string() : table.classes[static_cast<std::size_t>(label)];
}

std::string part_in(const ImageTable& table, std::int64_t row) {
  if (table.parts.size() < 2) return {};
  return table.parts[static_cast<std::size_t>(table.parts_of[static_cast<std::size_t>(row)])];
}

std::string line_in(const ImageTable& table, std::int64_t row) {
  std::string line = part_in(table, row);
  if (!line.empty()) line += "  ";
  if (table.has_classes()) {
    const std::string name = class_in(table, row);
    line += (name.empty() ? no_class : name) + "  ";
  }
  return one_line(line + table.paths[static_cast<std::size_t>(row)]);
}

std::string note_in(const ImageTable& table, std::int64_t row) {
  const std::string part = part_in(table, row), name = class_in(table, row);
  return part + (part.empty() || name.empty() ? "" : ", ") + name;
}

void write_csv(const std::string& path, const std::string& text) {
  write_file_atomically(path, text);
}

void write_findings_page(const std::string& path, const std::string& title, const std::string& lead,
                         const std::string& sections) {
  Page page;
  page.title = title;
  page.body =
      fmt::format("<h1>{}</h1>\n<p class=\"lead\">{}</p>\n{}", html_text(title), html_text(lead), sections);
  write_page(path, page);
}

}  // namespace kindred
