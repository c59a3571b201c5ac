// Exports weights for other programs, in their formats: a trained encoder, alone or with its head or a
// classifier.
#include <kindred/apps/console/choice.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/preparation_flags.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/onnx/onnx_file.h>
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/apps/training/run/weights_source.h>
#include <kindred/data/npz/npz.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/models/file_order.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <system_error>

namespace kindred {
namespace {

enum class Format { torchvision, timm, supcontrast, onnx, npz, kindred };

constexpr Named<Format> formats[] = {{Format::torchvision, "torchvision"},
                                     {Format::timm, "timm"},
                                     {Format::supcontrast, "supcontrast"},
                                     {Format::onnx, "onnx"},
                                     {Format::npz, "npz"},
                                     {Format::kindred, "kindred"}};

struct Flags {
  std::string source, format_name, out, classifier, resize;
  Format format = Format::kindred;  // what format_name means, once the flags have been checked
  std::int64_t image_size = 0;
  bool head = false, best = false, with_preparation = false;
};

void add_flags(CommandLine& line, Flags& f) {
  line.add("SOURCE", f.source,
           "the --out folder of a pretrain run, a checkpoint, or a .safetensors file of weights")
      .required();
  line.add_switch("--best", f.best, best_help);
  line.add("--format", f.format_name, names_of(formats, " or ")).required();
  line.add("--out", f.out, "the file to write; an existing file is replaced").required().writes_file();
  line.add("--classifier", f.classifier, "adds fc.weight and fc.bias: the classifier.safetensors of a probe");
  line.add("--image-size", f.image_size,
           "side of the images that an onnx graph takes (as the encoder was trained)")
      .within(sides_in_pixels);
  line.add(
      "--resize", f.resize,
      fmt::format("how images of an onnx graph are resized; {} (as the encoder was trained)", resize_help));
  line.add_switch(
      "--with-preparation", f.with_preparation,
      "onnx: the graph takes RGB bytes of pictures of any size, and resizes and normalizes them itself");
  line.add_switch("--head", f.head, "adds the projection head (supcontrast always has it if there is one)");
}

std::string describe(const Flags& f, const LoadedModel& model) {
  std::string text = fmt::format("{}: {} with the {} stem, {} parameters", f.out, model.info.encoder.model,
                                 name(model.info.encoder.stem), model.store.parameter_count());
  if (model.head) text += fmt::format(", with its {} projection head", name(model.head->kind));
  if (model.classifier)
    text += fmt::format(", with a classifier of {}", counted(model.class_names.size(), "class"));
  return text + "\n";
}

// What the other program must do before load_state_dict(..., strict=True) accepts the file.
std::string advice(const Flags& f, const LoadedModel& model) {
  const EncoderInfo& info = model.info.encoder;
  std::string text;
  if (f.format == Format::torchvision || f.format == Format::timm) {
    if (resnet_spec(info.model).depths.size() != 4)
      text += fmt::format("note: {} has no {}; the names follow its scheme\n", f.format_name, info.model);
    else if (info.stem == Stem::cifar)
      text +=
          "note: the stem is CIFAR's; change the model there accordingly: model.conv1 = Conv2d(3, 64, 3, 1, 1, "
          "bias=False), model.maxpool = Identity()\n";
    if (!model.classifier)
      text += f.format == Format::timm
                  ? "note: no classifier; make the model there with num_classes=0\n"
                  : "note: no classifier; set model.fc = torch.nn.Identity() there before loading\n";
  }
  if (f.with_preparation && info.exif == ExifMode::apply)
    text +=
        "note: the encoder was trained with --exif apply, but a graph sees only pixels; turn pictures before "
        "it\n";
  if (f.format == Format::supcontrast && info.stem == Stem::imagenet)
    text += "note: SupContrast's own ResNets have CIFAR's 3x3 stem; this one has ImageNet's\n";
  if (f.format == Format::supcontrast && !model.head)
    text += "note: no projection head was found; only encoder.* is written\n";
  return text;
}

void write_npz(const std::string& out, const LoadedModel& model) {
  NpzWriter writer(out);
  const auto add = [&](const std::string& name, const Tensor& value) {
    writer.add(name, file_shape(value.shape()), std::span<const float>(to_file_order<float>(value)));
  };
  for (const Parameter& parameter : model.store.parameters()) add(parameter.name, parameter.value);
  for (const Buffer& buffer : model.store.buffers()) add(buffer.name, buffer.value);
  writer.commit();
}

void write_safetensors(const Flags& f, const LoadedModel& model) {
  std::map<std::string, std::string> more;
  if (model.classifier) more["classes"] = json_text(model.class_names);
  const WeightNames names =
      f.format == Format::supcontrast ? WeightNames::supcontrast : WeightNames::torchvision;
  save_weights(f.out, model.store, names, model.info.encoder, model.info.batches_tracked, more);
}

const char* ending_of(Format format) {
  return format == Format::onnx ? ".onnx" : format == Format::npz ? ".npz" : ".safetensors";
}

// Throws Error(usage) if the file's name promises another format. Names that promise none are the user's choice.
void check_ending(const Flags& f) {
  std::filesystem::path out = f.out;
  std::string ending = out.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  const bool is_pickle = ending == ".pth" || ending == ".pt";
  const std::string right = ending_of(f.format);
  if (ending == right || !(is_pickle || ending == ".onnx" || ending == ".npz" || ending == ".safetensors"))
    return;
  const std::string better = out.replace_extension(right).string();
  check(!is_pickle, ExitCode::usage,
        "--out {}: --format {} writes a {} file, not a pickle of PyTorch's; give --out {}{}", f.out,
        f.format_name, right, better,
        right == ".safetensors" ? ", which safetensors.torch.load_file reads there" : "");
  fail(ExitCode::usage, "--out {}: --format {} writes a {} file; give --out {}, or another --format", f.out,
       f.format_name, right, better);
}

void check_replaces_no_source(const Flags& f, const WeightsSource& source, const std::string& classifier) {
  const std::filesystem::path none;
  for (const std::filesystem::path& read :
       {source.encoder, source.head.value_or(none), std::filesystem::path(classifier)}) {
    std::error_code ignored;
    check(read.empty() || !std::filesystem::equivalent(f.out, read, ignored), ExitCode::usage,
          "--out {}: this is the file that is read; give another name", f.out);
  }
}

void check_flags(Flags& f) {
  f.format = choice("--format", f.format_name, formats);
  check_ending(f);
  if (f.format == Format::onnx) require_onnx();
  check(!f.head || f.format == Format::supcontrast || f.format == Format::onnx || f.format == Format::npz,
        ExitCode::usage, "--head: {} has no place for a projection head; supcontrast, onnx and npz have",
        f.format_name);
  check(!f.head || f.classifier.empty() || f.format != Format::onnx, ExitCode::usage,
        "--head and --classifier: an onnx graph has only one of the two; write two files");
  check(f.classifier.empty() || f.format != Format::kindred, ExitCode::usage,
        "--classifier: an encoder file of Kindred's holds no classifier; programs take it by --classifier");
  check(f.image_size == 0 || f.format == Format::onnx, ExitCode::usage, "--image-size is for --format onnx");
  check(f.resize.empty() || f.format == Format::onnx, ExitCode::usage, "--resize is for --format onnx");
  if (!f.resize.empty()) parse_resize(f.resize);
  check(!f.with_preparation || f.format == Format::onnx, ExitCode::usage,
        "--with-preparation: --format {} has no place for it; onnx has", f.format_name);
}

int export_weights(int argc, char** argv) {
  CommandLine line("Writes trained weights in the format of other programs.", "export");
  Flags flags;
  add_flags(line, flags);
  if (const auto done = line.parse(argc, argv)) return *done;
  check_flags(flags);
  const WeightsSource source = find_weights("SOURCE", flags.source, flags.best);
  LoadOptions options;
  options.with_head = flags.head || (flags.format == Format::supcontrast && source.head);
  options.classifier = classifier_file(flags.classifier, flags.best);
  check_replaces_no_source(flags, source, options.classifier);
  check_output_file("--out", flags.out, std::string("encoder") + ending_of(flags.format));
  const auto model = load_model(source, options);
  if (!model->warning.empty()) fmt::print("{}\n", one_line(model->warning));
  if (flags.image_size) model->info.encoder.image_size = flags.image_size;
  if (!flags.resize.empty()) model->info.encoder.resize = parse_resize(flags.resize);
  if (flags.format == Format::npz)
    write_npz(flags.out, *model);
  else if (flags.format == Format::onnx)
    write_onnx(flags.out, *model, flags.with_preparation);
  else
    write_safetensors(flags, *model);
  fmt::print("{}{}", describe(flags, *model), advice(flags, *model));
  if (model->info.assumed)
    fmt::print("note: {} does not say how images are prepared; assumed: {} pixels, mean {:.4f} {:.4f} {:.4f}\n",
               source.encoder.string(), model->info.encoder.image_size, model->info.encoder.pixels.mean[0],
               model->info.encoder.pixels.mean[1], model->info.encoder.pixels.mean[2]);
  return 0;
}

const Program export_program("export",
                             "writes trained weights for torchvision, timm, SupContrast, ONNX or NumPy",
                             export_weights, "export_weights");

}  // namespace
}  // namespace kindred
