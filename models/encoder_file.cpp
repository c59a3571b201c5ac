#include <kindred/engine/files/json_text.h>
#include <kindred/models/weights_file.h>

#include <fmt/ranges.h>  // defines: fmt::join
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace kindred {
namespace {

// Texts by name, from a file that errors name.
struct NamedTexts {
  const std::string& path;
  const std::map<std::string, std::string>& texts;
};

const std::string& text_of(const NamedTexts& file, const std::string& key) {
  const auto found = file.texts.find(key);
  check(found != file.texts.end(), ExitCode::file,
        "{} is not an encoder of Kindred: its metadata has no \"{}\"; give the encoder.safetensors of a "
        "pretrain run",
        file.path, key);
  return found->second;
}

std::array<float, 3> three_numbers(const NamedTexts& file, const std::string& key, bool positive) {
  const auto value = parse_hostile_json(text_of(file, key));
  bool good = value.is_array() && value.size() == 3;
  for (std::size_t i = 0; good && i < 3; ++i)
    good = value[i].is_number() && std::isfinite(value[i].get<float>()) &&
           (!positive || value[i].get<float>() > 0);
  check(good, ExitCode::file, "{}: the metadata's \"{}\" should be three{} numbers", file.path, key,
        positive ? " positive" : "");
  return {value[0].get<float>(), value[1].get<float>(), value[2].get<float>()};
}

std::int64_t image_size_of(const NamedTexts& file) {
  const std::string& text = text_of(file, "image_size");
  std::int64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  check(error == std::errc() && end == text.data() + text.size() && size >= 8 && size <= 4096, ExitCode::file,
        "{}: the metadata's \"image_size\" should be a number from 8 to 4096", file.path);
  return size;
}

// A value of a table (engine/names.h), which the metadata have only if it is another one than the first.
template <typename T, std::size_t N>
T choice_in(const NamedTexts& file, const std::string& key, const Named<T> (&table)[N]) {
  if (!file.texts.contains(key)) return table[0].value;
  const std::string& text = text_of(file, key);
  const std::optional<T> value = value_named(table, text);
  check(value.has_value(), ExitCode::file, "{}: the metadata's \"{}\" should be {}, not {}", file.path, key,
        names_of(table, " or "), text);
  return *value;
}

// HeldOutImages::before
std::vector<std::pair<double, std::uint64_t>> pairs_in(const std::string& path, const std::string& text) {
  std::vector<std::pair<double, std::uint64_t>> pairs;
  const auto list = parse_hostile_json(text);
  bool good = list.is_array();
  for (std::size_t i = 0; good && i < list.size(); ++i) {
    const auto& pair = list[i];
    good = pair.is_array() && pair.size() == 2 && pair[0].is_number() && pair[1].is_number_unsigned();
    if (!good) break;
    pairs.emplace_back(pair[0].get<double>(), pair[1].get<std::uint64_t>());
    good = pairs.back().first > 0 && pairs.back().first < 1;
  }
  check(good, ExitCode::file, "{}: the metadata's \"val_before\" should be a list of pairs like [0.1, 0]",
        path);
  return pairs;
}

// HeldOutImages::all_of
std::string fingerprint_in(const std::string& path, const std::string& text) {
  check(text.size() == 16 && text.find_first_not_of("0123456789abcdef") == std::string::npos, ExitCode::file,
        "{}: the metadata's \"trained_on_all\" should be 16 hexadecimal digits", path);
  return text;
}

}  // namespace

void save_encoder(const std::filesystem::path& path, const ParameterStore& store, const EncoderInfo& info,
                  std::int64_t batches_tracked, FileOperations& files) {
  SafetensorsWriter writer;
  set_encoder_metadata(writer, info);
  add_weights(writer, store, WeightNames::torchvision, batches_tracked, belongs_to_encoder);
  writer.write(path, files);
}

// A set with images for evaluation of its own leaves nothing of this in the metadata.
std::optional<HeldOutImages> parse_held_out(const std::string& path,
                                            const std::map<std::string, std::string>& metadata) {
  const auto fraction = metadata.find("val_fraction"), seed = metadata.find("val_seed");
  HeldOutImages held;
  if (fraction == metadata.end()) {
    const auto all = metadata.find("trained_on_all");
    if (all == metadata.end()) return std::nullopt;
    held.all_of = fingerprint_in(path, all->second);
    return held;
  }
  const auto whole = [](const std::string& text, auto& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
  };
  check(whole(fraction->second, held.fraction) && held.fraction > 0 && held.fraction < 1, ExitCode::file,
        "{}: the metadata's \"val_fraction\" should be a number above 0 and below 1", path);
  check(seed != metadata.end() && whole(seed->second, held.seed), ExitCode::file,
        "{}: the metadata's \"val_seed\" should be a number", path);
  if (const auto before = metadata.find("val_before"); before != metadata.end())
    held.before = pairs_in(path, before->second);
  return held;
}

std::vector<std::optional<HeldOutImages>> parse_trained_before(
    const std::string& path, const std::map<std::string, std::string>& metadata) {
  std::vector<std::optional<HeldOutImages>> trainings;
  const auto found = metadata.find("trained_before");
  if (found == metadata.end()) return trainings;
  const auto list = parse_hostile_json(found->second);
  bool good = list.is_array();
  for (std::size_t i = 0; good && i < list.size(); ++i) {
    good = list[i].is_object();
    std::map<std::string, std::string> texts;
    for (auto entry = list[i].begin(); good && entry != list[i].end(); ++entry) {
      good = entry.value().is_string();
      if (good) texts[entry.key()] = entry.value().get<std::string>();
    }
    if (good) trainings.push_back(parse_held_out(path, texts));
  }
  check(good, ExitCode::file,
        "{}: the metadata's \"trained_before\" should be a list of objects like {{\"val_fraction\": \"0.1\", "
        "\"val_seed\": \"0\"}}",
        path);
  return trainings;
}

EncoderInfo parse_encoder_info(const std::string& path, const std::map<std::string, std::string>& metadata) {
  const NamedTexts file{path, metadata};
  EncoderInfo info;
  info.model = text_of(file, "model");
  const auto names = resnet_names();
  check(std::find(names.begin(), names.end(), info.model) != names.end(), ExitCode::file,
        "{}: it names the model \"{}\", which Kindred does not know; it knows {}", path, info.model,
        fmt::join(names, ", "));
  const std::string& stem = text_of(file, "stem");
  const auto known_stem = value_named(stem_names, stem);
  check(known_stem.has_value(), ExitCode::file, "{}: the metadata's \"stem\" should be {}, not {}", path,
        names_of(stem_names, " or "), stem);
  info.stem = *known_stem;
  info.image_size = image_size_of(file);
  info.pixels = {three_numbers(file, "pixel_mean", false), three_numbers(file, "pixel_std", true)};
  info.held_out = parse_held_out(path, metadata);
  info.resize = choice_in(file, "resize", resize_names);
  info.exif = choice_in(file, "exif", exif_names);
  info.trained_before = parse_trained_before(path, metadata);
  return info;
}

std::vector<std::optional<HeldOutImages>> trainings_up_to(const EncoderInfo& info) {
  std::vector<std::optional<HeldOutImages>> trainings = info.trained_before;
  if (std::find(trainings.begin(), trainings.end(), info.held_out) == trainings.end())
    trainings.push_back(info.held_out);
  return trainings;
}

EncoderInfo read_encoder_info(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  check(!is_checkpoint(file) || file.metadata().contains("model"), ExitCode::file,
        "{} is a checkpoint of an earlier version, which does not say how its images are prepared; give the "
        "encoder.safetensors of its run",
        file.path());
  return parse_encoder_info(file.path(), file.metadata());
}

void load_encoder(const std::filesystem::path& path, ParameterStore& store) {
  const SafetensorsFile file(path);
  WeightMatch match = match_weights(file, store);
  std::erase_if(match.found, [](const WeightMatch::Found& each) { return !belongs_to_encoder(each.name); });
  const auto of_others = [](const std::string& name) { return !belongs_to_encoder(own_name(name)); };
  for (auto* names : {&match.missing, &match.reshaped, &match.left_over}) std::erase_if(*names, of_others);
  std::vector<std::string> complaints;
  if (!match.missing.empty()) complaints.push_back("missing: " + some_of(match.missing));
  if (!match.reshaped.empty()) complaints.push_back("of another shape: " + some_of(match.reshaped));
  if (!match.left_over.empty() && !is_checkpoint(file))  // which also holds the optimizer's state
    complaints.push_back("not part of the model: " + some_of(match.left_over));
  check(complaints.empty(), ExitCode::file, "{} does not fit the model; {}; give weights of this model",
        file.path(), fmt::join(complaints, "; "));
  set_weights(file, match.found, store);
}

}  // namespace kindred
