#include <kindred/apps/console/data_options.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/survey/survey.h>
#include <kindred/data/images/decoding_memory.h>
#include <kindred/data/images/exif.h>
#include <kindred/data/sets/folders/image_names.h>
#include <kindred/data/sets/pack/pack.h>
#include <kindred/engine/cpu/parallel.h>

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace kindred {
namespace {

constexpr std::int64_t images_at_once = 256;

void count_outcome(OutcomeCounts& counts, Outcome outcome) {
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
    finding.orientation = exif_orientation(file->bytes, header.format);
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

// The format that the name of a sample promises.
std::string_view promised_by_sample(std::string_view name) {
  while (name.ends_with(')')) name.remove_suffix(1);  // "..., record 3 (a/b.jpg)"
  return promised_format(name);
}

// A pack holds pictures that it shrank as JPEG, under the names that they had.
bool may_be_shrunk(std::string_view name, ImageFormat format) {
  return name.ends_with(')') && format == ImageFormat::jpeg;
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

}  // namespace

OutcomeCounts SplitSurvey::counts() const {
  OutcomeCounts total;
  for (const SampleFinding& sample : samples) count_outcome(total, sample.outcome);
  return total;
}

std::map<std::string, OutcomeCounts> SplitSurvey::counts_by_format() const {
  std::map<std::string, OutcomeCounts> formats;
  for (const SampleFinding& sample : samples) count_outcome(formats[format_of(sample)], sample.outcome);
  return formats;
}

std::vector<OutcomeCounts> SplitSurvey::counts_by_class() const {
  std::vector<OutcomeCounts> classes(static_cast<std::size_t>(set.classes()));
  for (std::size_t i = 0; i < samples.size(); ++i)
    count_outcome(classes[static_cast<std::size_t>(set.label(static_cast<std::int64_t>(i)))],
                  samples[i].outcome);
  return classes;
}

std::int64_t SplitSurvey::oriented() const {
  return std::count_if(samples.begin(), samples.end(), [](const SampleFinding& sample) {
    return sample.outcome != Outcome::rejected && sample.orientation != upright;
  });
}

std::string describe_orientations(const std::vector<SplitSurvey>& splits, ExifMode exif) {
  std::int64_t oriented = 0;
  for (const SplitSurvey& split : splits) oriented += split.oriented();
  if (oriented == 0) return "";
  if (exif == ExifMode::apply)
    return fmt::format(
        "{} turned as {} EXIF orientation says; give --exif apply to pretrain too, whose encoder remembers it",
        oriented == 1 ? "1 image is" : fmt::format("{} images are", oriented), oriented == 1 ? "its" : "their");
  return fmt::format(
      "{} an EXIF orientation that is ignored, so the network sees {} turned or mirrored; --exif apply, here "
      "and for pretrain, turns {} upright",
      oriented == 1 ? "1 image has" : fmt::format("{} images have", oriented), oriented == 1 ? "it" : "them",
      oriented == 1 ? "it" : "them");
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
        result.samples[static_cast<std::size_t>(i)] = with_memory_for_picture(
            [&] { return set.name(i); }, [&] { return examine(set, i, scratch, decoder, decoded); });
    });
    for (std::int64_t i = first; i < first + count; ++i)
      bad += result.samples[static_cast<std::size_t>(i)].outcome != Outcome::ok;
    progress.advance(count, fmt::format("{} damaged or rejected", bad));
    end_if_interrupted(
        fmt::format("stopped after {} of {} images ({}), and nothing was written; the same command "
                    "begins anew",
                    first + count, set.size(), name));
  }
  return result;
}

std::vector<OddThing> odd_things(const std::vector<SplitSurvey>& splits) {
  std::vector<OddThing> odd;
  std::unordered_map<std::uint64_t, SampleOfSplit> seen;
  for (const SplitSurvey& split : splits)
    for (std::int64_t i = 0; i < split.set.size(); ++i) {
      const SampleFinding& sample = split.samples[static_cast<std::size_t>(i)];
      const std::string name = split.set.name(i);
      if (sample.outcome != Outcome::ok)
        odd.push_back({name, fmt::format("{}: {}", outcome_name(sample.outcome), sample.reason)});
      const std::string_view promised = promised_by_sample(name);
      if (sample.format != ImageFormat::none && !promised.empty() && promised != format_name(sample.format) &&
          !may_be_shrunk(name, sample.format))
        odd.push_back({name, fmt::format("its name says {}, it is {}", promised, format_name(sample.format))});
      if (sample.hash == 0) continue;
      const auto [entry, is_new] = seen.try_emplace(sample.hash, SampleOfSplit{&split, i});
      if (!is_new) odd.push_back({name, same_content(entry->second, {&split, i})});
    }
  return odd;
}

std::string training_problem(const SplitSurvey& train, const std::string& max_bad, bool strict) {
  const std::vector<OutcomeCounts> classes = train.counts_by_class();
  for (std::size_t c = 0; c < classes.size(); ++c)
    if (classes[c].files() > 0 && classes[c].files() == classes[c].rejected)
      return fmt::format("class '{}': {} be decoded", train.set.class_names()[c],
                         classes[c].files() == 1
                             ? "its only image cannot"
                             : fmt::format("none of its {} images can", classes[c].files()));
  const OutcomeCounts total = train.counts();
  if (strict && total.ok < total.files())
    return fmt::format("{} damaged or rejected; with --strict none may be",
                       total.files() - total.ok == 1
                           ? "1 training image is"
                           : fmt::format("{} training images are", total.files() - total.ok));
  if (total.rejected > accepted_bad_images(max_bad, total.files()).value())
    return fmt::format("{} of {} training images are rejected, more than --max-bad {}", total.rejected,
                       total.files(), max_bad);
  return "";
}

}  // namespace kindred
