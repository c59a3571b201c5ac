#include <kindred/data/files/file.h>
#include <kindred/data/files/json_fields.h>
#include <kindred/data/views/augment.h>
#include <kindred/data/views/policy.h>
#include <kindred/data/views/recipe_json.h>
#include <kindred/engine/files/safetensors_header.h>  // defines: printable

#include <nlohmann/json.hpp>

#include <algorithm>

namespace kindred {
namespace {

constexpr std::size_t most_steps = 16;
constexpr Range share{0, 1};

// Reading and writing of a step in one function. `T` is Reader or Writer. Both have the same three functions,
// so the program reads exactly what it writes.
template <typename T>
void fields(T& io, ColorJitter& s) {
  io.number("probability", share, s.probability);
  io.number("brightness", {0, 10}, s.brightness);
  io.number("contrast", {0, 10}, s.contrast);
  io.number("saturation", {0, 10}, s.saturation);
  io.number("hue", {0, 0.5}, s.hue);
}

template <typename T>
void fields(T& io, RandomGray& s) {
  io.number("probability", share, s.probability);
}

template <typename T>
void fields(T& io, RandomBlur& s) {
  io.number("probability", share, s.probability);
  io.interval("sigma", {0.01, 100}, s.min_sigma, s.max_sigma);
}

template <typename T>
void fields(T& io, WarpStyle& s) {
  io.choice("interpolation", interpolation_names, s.interpolation);
  io.integer("fill", 0, 255, s.fill);
}

template <typename T>
void fields(T& io, AutoAugment& s) {
  io.choice("policy", policy_names, s.policy);
  fields(io, s.style);
}

template <typename T>
void fields(T& io, RandAugment& s) {
  io.integer("number", 0, 16, s.number);
  io.integer("levels", 2, 1000, s.levels);
  io.integer("magnitude", 0, s.levels - 1, s.magnitude);
  io.operations("operations", s.operations);
  fields(io, s.style);
}

template <typename T>
void fields(T& io, Cutout& s) {
  io.number("probability", share, s.probability);
  io.number("side", share, s.side);
  io.integer("fill", 0, 255, s.fill);
}

// The allowed values of a single operation; nullopt if it has no value.
std::optional<Range> value_range(ImageOperation operation) {
  switch (operation) {
    case ImageOperation::brightness:
    case ImageOperation::contrast:
    case ImageOperation::color:
    case ImageOperation::sharpness:
      return Range{0, 11};
    case ImageOperation::hue:
      return Range{-0.5, 0.5};
    case ImageOperation::blur:
      return Range{0.01, 100};
    case ImageOperation::shear_x:
    case ImageOperation::shear_y:
    case ImageOperation::translate_x:
    case ImageOperation::translate_y:
      return Range{-1, 1};
    case ImageOperation::rotate:
      return Range{-360, 360};
    case ImageOperation::posterize:
      return Range{0, 8};
    case ImageOperation::solarize:
      return Range{0, 256};
    case ImageOperation::solarize_add:
      return Range{0, 255};
    default:
      return std::nullopt;
  }
}

template <typename T>
void fields(T& io, RandomOperation& s) {
  io.operation("operation", s.operation);
  io.number("probability", share, s.probability);
  if (const auto range = value_range(s.operation)) io.required_interval("value", *range, s.low, s.high);
  fields(io, s.style);
}

template <typename T>
void fields(T& io, RandomCrop& crop) {
  io.interval("area", {1e-4, 1}, crop.min_area, crop.max_area);
  io.interval("ratio", {0.01, 100}, crop.min_ratio, crop.max_ratio);
}

struct Reader : Fields {
  using Fields::Fields;

  template <typename Table, typename Enum>
  void choice(const char* key, const Table& names, Enum& value) {
    const Json* given = find(key);
    if (given == nullptr) return;
    const std::string& text = text_of(*given, where().at(key));
    const auto found = value_named(names, text);
    if (!found) where().at(key).fail_here("expected {}, not {}", names_of(names, " or "), printable(text));
    value = *found;
  }

  static ImageOperation operation_of(const Json& given, const JsonPath& at) {
    const std::string& text = text_of(given, at);
    const auto found = value_named(operation_names, text);
    if (!found) at.fail_here("unknown operation {}", printable(text));
    return *found;
  }
  void operation(const char* key, ImageOperation& value) {
    value = operation_of(require(key), where().at(key));
    if (value == ImageOperation::cutout)
      where().at(key).fail_here("cutout is a step of its own: {{\"step\": \"cutout\"}}");
  }
  void operations(const char* key, std::vector<ImageOperation>& value) {
    value = randaugment_operations();
    const Json* given = find(key);
    if (given == nullptr) return;
    const JsonPath at = where().at(key);
    list_of(*given, at, 1, 64);
    value.clear();
    for (std::size_t i = 0; i < given->size(); ++i) {
      value.push_back(operation_of((*given)[i], at.at(i)));
      if (!has_strength(value.back()))
        at.at(i).fail_here("RandAugment has no strengths for {}", name(value.back()));
    }
  }
  void required_interval(const char* key, Range range, double& low, double& high) {
    require(key);
    interval(key, range, low, high);
  }
};

struct Writer {
  nlohmann::ordered_json out;

  void number(const char* key, Range, double value) { out[key] = value; }
  void integer(const char* key, int, int, int value) { out[key] = value; }
  void interval(const char* key, Range, double low, double high) { out[key] = {low, high}; }
  void required_interval(const char* key, Range, double low, double high) { out[key] = {low, high}; }
  template <typename Table, typename Enum>
  void choice(const char* key, const Table& names, Enum value) {
    out[key] = name_of(names, value);
  }
  void operation(const char* key, ImageOperation value) { out[key] = name(value); }
  void operations(const char* key, const std::vector<ImageOperation>& value) {
    for (const ImageOperation each : value) out[key].push_back(name(each));
  }
};

// The names of the steps, in the order of the variant.
constexpr std::array<std::string_view, std::variant_size_v<Step>> step_names = {
    "jitter", "gray", "blur", "autoaugment", "randaugment", "cutout", "operation"};

template <std::size_t kind = 0>
Step default_step(std::size_t wanted) {
  if constexpr (kind + 1 < std::variant_size_v<Step>)
    if (wanted != kind) return default_step<kind + 1>(wanted);
  return Step(std::in_place_index<kind>);
}

Step parse_step(const Json& json, const JsonPath& where) {
  Reader reader(json, where);
  const std::string& kind = text_of(reader.require("step"), where.at("step"));
  const auto found = std::find(step_names.begin(), step_names.end(), kind);
  if (found == step_names.end())
    where.at("step").fail_here("unknown step {}; known are {}", printable(kind), joined(step_names));
  Step step = default_step(static_cast<std::size_t>(found - step_names.begin()));
  std::visit([&](auto& each) { fields(reader, each); }, step);
  reader.done();
  return step;
}

// A name appears in titles and logs, so it must be a short line of ASCII.
std::string parse_name(const Json& json, const JsonPath& where) {
  const std::string& name = text_of(json, where);
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (name.empty() || name.size() > 64 || !plain) where.fail_here("expected 1 to 64 plain characters");
  return name;
}

Recipe parse_recipe(const Json& json, const JsonPath& where) {
  Reader reader(json, where);
  Recipe recipe;
  recipe.name = "custom";
  if (const Json* given = reader.find("name")) recipe.name = parse_name(*given, where.at("name"));
  if (const Json* given = reader.find("crop")) {
    Reader crop(*given, where.at("crop"));
    fields(crop, recipe.crop.emplace());
    crop.done();
  }
  reader.number("flip", share, recipe.flip);
  if (const Json* given = reader.find("steps")) {
    const JsonPath steps = where.at("steps");
    list_of(*given, steps, 0, most_steps);
    for (std::size_t i = 0; i < given->size(); ++i)
      recipe.steps.push_back(parse_step((*given)[i], steps.at(i)));
    if (most_operations(recipe) > ViewParameters::most_operations)
      steps.fail_here("a view may get up to {} operations; the limit is {}", most_operations(recipe),
                      ViewParameters::most_operations);
  }
  reader.done();
  return recipe;
}

ViewGroup parse_group(const Json& json, const JsonPath& where, int size) {
  Reader reader(json, where);
  ViewGroup group;
  group.size = size;
  reader.integer("size", 8, 4096, group.size);
  reader.integer("count", 1, most_views, group.count);
  const Json& how = reader.require("recipe");
  const JsonPath at = where.at("recipe");
  if (how.is_string()) {
    try {
      group.recipe = recipe(how.get_ref<const std::string&>(), group.size);
    } catch (const Error&) {
      at.fail_here("unknown recipe {}; known are {}", shown(how), recipe_names());
    }
  } else {
    group.recipe = parse_recipe(how, at);
  }
  reader.done();
  return group;
}

nlohmann::ordered_json to_json(const Recipe& recipe) {
  Writer whole;
  whole.out["name"] = recipe.name;
  if (recipe.crop) {
    Writer crop;
    RandomCrop copy = *recipe.crop;
    fields(crop, copy);
    whole.out["crop"] = crop.out;
  }
  whole.out["flip"] = recipe.flip;
  whole.out["steps"] = nlohmann::ordered_json::array();
  for (const Step& step : recipe.steps) {
    Writer writer;
    writer.out["step"] = step_names[step.index()];
    std::visit([&](auto each) { fields(writer, each); }, step);
    whole.out["steps"].push_back(writer.out);
  }
  return whole.out;
}

}  // namespace

int ImageViews::views() const {
  int sum = 0;
  for (const ViewGroup& group : groups) sum += group.count;
  return sum;
}

ImageViews parse_views(std::string_view json, const std::string& file, int size, int views) {
  const JsonPath where{.file = file, .path = ""};
  if (json.size() > most_recipe_bytes)
    where.fail_here("{} bytes; a recipe has at most {}", json.size(), most_recipe_bytes);
  const Json whole = parse_strictly(json, where);
  if (!whole.is_object() || !whole.contains("views"))
    return {{ViewGroup{parse_recipe(whole, where), size, views}}, false};

  Reader reader(whole, where);
  const Json& list = reader.require("views");
  reader.done();
  list_of(list, where.at("views"), 1, most_views);
  ImageViews made;
  made.views_fixed = true;
  for (std::size_t i = 0; i < list.size(); ++i)
    made.groups.push_back(parse_group(list[i], where.at("views").at(i), size));
  if (made.views() > most_views)
    where.at("views").fail_here("{} views of an image; at most {} are possible", made.views(), most_views);
  return made;
}

ImageViews image_views(const std::string& augment, int size, int views) {
  constexpr const char* example = "the config.json of a run has one under \"augmentation\"";
  if (!augment.ends_with(".json")) {
    try {
      return {{ViewGroup{recipe(augment, size), size, views}}, false};
    } catch (const Error&) {
      fail(ExitCode::usage, "unknown augmentation '{}': expected {}, or a recipe in a file, RECIPE.json; {}",
           augment, recipe_names(), example);
    }
  }
  const FileContent content = read_file(augment, most_recipe_bytes);
  check(content.ok(), ExitCode::file, "{}: {}; expected a recipe of augmentation; {}", augment, content.reason,
        example);
  return parse_views({reinterpret_cast<const char*>(content.bytes.data()), content.bytes.size()}, augment, size,
                     views);
}

std::string to_json_text(const Recipe& recipe) {
  return to_json(recipe).dump();
}

std::string to_json_text(const std::vector<ViewGroup>& groups) {
  nlohmann::ordered_json whole;
  for (const ViewGroup& group : groups)
    whole["views"].push_back({{"recipe", to_json(group.recipe)}, {"size", group.size}, {"count", group.count}});
  return whole.dump();
}

}  // namespace kindred
