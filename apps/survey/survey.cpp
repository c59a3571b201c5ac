#include <kindred/apps/console/progress.h>
#include <kindred/apps/survey/survey.h>
#include <kindred/data/sets/pack/pack.h>
#include <kindred/engine/cpu/parallel.h>

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <unordered_map>
#include <unordered_set>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t images_at_once = 256;

void add(OutcomeCounts& counts, Outcome outcome) {
  counts.ok += outcome == Outcome::ok;
  counts.damaged += outcome == Outcome::damaged;
  counts.rejected += outcome == Outcome::rejected;
}

SampleFinding examine(const Dataset& set, std::int64_t i, std::vector<std::uint8_t>& scratch, Decoder& decoder,
                      Decoded& decoded) {
  SampleFinding finding;
  const std::optional<Encoded> file = set.source().encoded(i, scratch);
  if (!file) {
    set.source().load(i, decoded);
    finding.raw = true;
    finding.hash = record_hash(decoded.image.pixels, 0);
  } else if (!file->ok()) {
    finding.reason = file->reason;
    return finding;
  } else {
    finding.hash = record_hash(file->bytes, 0);
    const ImageHeader& header = decoder.open(file->bytes, set.source().limits());
    finding.format = header.format;
    decoder.decode_whole(decoded);
  }
  finding.outcome = decoded.outcome;
  finding.reason = decoded.reason;
  finding.height = decoded.picture_height;
  finding.width = decoded.picture_width;
  return finding;
}

std::string format_of(const SampleFinding& finding) {
  if (finding.raw) return "pixels";
  return finding.format == ImageFormat::none ? "unknown" : format_name(finding.format);
}

// The format that a name's extension indicates; empty if it indicates none.
std::string promised_format(const std::string& name) {
  std::string ending = fs::path(name).extension().string();
  while (!ending.empty() && ending.back() == ')') ending.pop_back();  // "..., record 3 (a/b.jpg)"
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (ending == ".jpg" || ending == ".jpeg" || ending == ".jpe" || ending == ".jfif") return "JPEG";
  if (ending == ".png") return "PNG";
  if (ending == ".bmp") return "BMP";
  return "";
}

struct SampleOfSplit {
  const SplitSurvey* split;
  std::int64_t i;
};

std::string same_content(const SampleOfSplit& first, const SampleOfSplit& second) {
  const std::string other = first.split->set.name(first.i);
  if (first.split != second.split)
    return fmt::format("the same bytes as {}, which is in {}", other, first.split->name);
  const auto label = [](const SampleOfSplit& sample) {
    return sample.split->set.class_names()[static_cast<std::size_t>(sample.split->set.label(sample.i))];
  };
  if (label(first) != label(second))
    return fmt::format("the same bytes as {}, which is of class '{}'", other, label(first));
  return fmt::format("the same bytes as {}", other);
}

void add_unused_files(const std::vector<SplitSurvey>& splits, const std::string& dir,
                      std::vector<OddThing>& odd) {
  std::error_code error;
  if (!fs::is_directory(dir, error) || !fs::exists(fs::symlink_status(splits.front().set.name(0), error)))
    return;
  std::unordered_set<std::string> used;
  for (const SplitSurvey& split : splits)
    for (std::int64_t i = 0; i < split.set.size(); ++i)
      used.insert(fs::path(split.set.name(i)).lexically_normal().string());
  fs::recursive_directory_iterator entry(dir, fs::directory_options::skip_permission_denied, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code broken;
    if (entry.depth() == 0 || entry->is_directory(broken)) continue;  // a README beside train/ is not unusual
    if (!used.contains(entry->path().lexically_normal().string()))
      odd.push_back({entry->path().string(), "not part of the set: no image has such a name or place"});
  }
}

}  // namespace

OutcomeCounts SplitSurvey::counts() const {
  OutcomeCounts total;
  for (const SampleFinding& sample : samples) add(total, sample.outcome);
  return total;
}

std::map<std::string, OutcomeCounts> SplitSurvey::counts_by_format() const {
  std::map<std::string, OutcomeCounts> formats;
  for (const SampleFinding& sample : samples) add(formats[format_of(sample)], sample.outcome);
  return formats;
}

std::vector<OutcomeCounts> SplitSurvey::counts_by_class() const {
  std::vector<OutcomeCounts> classes(static_cast<std::size_t>(set.classes()));
  for (std::size_t i = 0; i < samples.size(); ++i)
    add(classes[static_cast<std::size_t>(set.label(static_cast<std::int64_t>(i)))], samples[i].outcome);
  return classes;
}

SplitSurvey survey(const std::string& name, const Dataset& set) {
  SplitSurvey result{
      .name = name, .set = set, .samples = std::vector<SampleFinding>(static_cast<std::size_t>(set.size()))};
  Progress progress(name, (set.size() + images_at_once - 1) / images_at_once, "images");
  std::int64_t bad = 0;
  for (std::int64_t first = 0; first < set.size(); first += images_at_once) {
    const std::int64_t count = std::min(images_at_once, set.size() - first);
    parallel_for(count, 1, [&](std::int64_t begin, std::int64_t end) {
      Decoder decoder;
      Decoded decoded;
      std::vector<std::uint8_t> scratch;
      for (std::int64_t i = first + begin; i < first + end; ++i)
        result.samples[static_cast<std::size_t>(i)] = examine(set, i, scratch, decoder, decoded);
    });
    for (std::int64_t i = first; i < first + count; ++i)
      bad += result.samples[static_cast<std::size_t>(i)].outcome != Outcome::ok;
    progress.advance(count, fmt::format("{} damaged or rejected", bad));
  }
  return result;
}

std::vector<OddThing> odd_things(const std::vector<SplitSurvey>& splits, const std::string& dir) {
  std::vector<OddThing> odd;
  std::unordered_map<std::uint64_t, SampleOfSplit> seen;
  for (const SplitSurvey& split : splits)
    for (std::int64_t i = 0; i < split.set.size(); ++i) {
      const SampleFinding& sample = split.samples[static_cast<std::size_t>(i)];
      const std::string name = split.set.name(i);
      if (sample.outcome != Outcome::ok)
        odd.push_back({name, fmt::format("{}: {}", outcome_name(sample.outcome), sample.reason)});
      const std::string promised = promised_format(name);
      if (sample.format != ImageFormat::none && !promised.empty() && promised != format_name(sample.format))
        odd.push_back({name, fmt::format("its name says {}, it is {}", promised, format_name(sample.format))});
      if (sample.hash == 0) continue;
      const auto [entry, is_new] = seen.try_emplace(sample.hash, SampleOfSplit{&split, i});
      if (!is_new) odd.push_back({name, same_content(entry->second, {&split, i})});
    }
  add_unused_files(splits, dir, odd);
  return odd;
}

std::string training_problem(const SplitSurvey& train, std::int64_t max_bad, bool strict) {
  const std::vector<OutcomeCounts> classes = train.counts_by_class();
  for (std::size_t c = 0; c < classes.size(); ++c)
    if (classes[c].files() > 0 && classes[c].files() == classes[c].rejected)
      return fmt::format("class '{}': none of its {} images can be decoded", train.set.class_names()[c],
                         classes[c].files());
  const OutcomeCounts total = train.counts();
  if (strict && total.ok < total.files())
    return fmt::format("{} training images are damaged or rejected; with --strict none may be",
                       total.files() - total.ok);
  if (max_bad >= 0 && total.rejected > max_bad)
    return fmt::format("{} training images are rejected, more than --max-bad {}", total.rejected, max_bad);
  return "";
}

}  // namespace kindred
