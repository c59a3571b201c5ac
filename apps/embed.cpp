// Writes the features of a whole data set to a file for NumPy: for search, clustering, or another classifier.
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/data_options.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/evaluation/features.h>
#include <kindred/data/npz/npz.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/linear/linear.h>
#include <kindred/models/classifier_file.h>

#include <algorithm>

namespace kindred {
namespace {

struct Flags {
  DataFlags data;
  EncoderFlags encoder;
  std::string out, split = "evaluation", classifier;
};

void add_flags(CommandLine& line, Flags& f) {
  f.data.add_to(line);
  f.encoder.add_to(line);
  line.add("--out", f.out, "the .npz file to write; an existing file is replaced").required();
  line.add("--split", f.split, "train or evaluation").shows_default();
  line.add("--classifier", f.classifier,
           "writes the logits of this classifier.safetensors in place of the features");
}

// Writes what is known after the features: which images they belong to.
void write_labels_and_paths(NpzWriter& writer, const Dataset& dataset, const std::vector<std::int64_t>& used) {
  writer.begin<std::int64_t>("labels", {});
  for (const std::int64_t i : used) {
    const std::int64_t label = dataset.label(i);
    writer.append<std::int64_t>(std::span(&label, 1));
  }
  const auto write_texts = [&](const char* what, std::int64_t count, const auto& text_of) {
    std::size_t widest = 0;
    for (std::int64_t i = 0; i < count; ++i) widest = std::max(widest, text_width(text_of(i)));
    writer.begin_texts(what, widest);
    for (std::int64_t i = 0; i < count; ++i) writer.append_text(text_of(i));
  };
  write_texts("paths", static_cast<std::int64_t>(used.size()),
              [&](std::int64_t i) { return dataset.name(used[static_cast<std::size_t>(i)]); });
  write_texts("classes", dataset.classes(),
              [&](std::int64_t i) { return dataset.class_names()[static_cast<std::size_t>(i)]; });
}

int embed(int argc, char** argv) {
  CommandLine line("Writes the features of every image: features, labels, paths and classes, as a .npz file.",
                   "embed");
  Flags flags;
  add_flags(line, flags);
  if (const auto done = line.parse(argc, argv)) return *done;
  flags.data.check_values();
  flags.data.check_outside("--out", flags.out);
  flags.encoder.check_values();
  watch_for_interrupts();
  const Dataset dataset = flags.data.open_named(flags.split);
  const auto frozen = flags.encoder.load();
  std::optional<Classifier> classifier;
  if (!flags.classifier.empty()) classifier = load_classifier(flags.classifier, frozen->encoder->feature_dim);

  std::vector<std::int64_t> used;
  NpzWriter writer(flags.out);
  const std::int64_t columns = classifier ? classifier->classes() : frozen->encoder->feature_dim;
  writer.begin<float>(classifier ? "logits" : "features", {columns});
  FeatureOptions& options = frozen->features;
  options.what = "embedding";
  std::vector<BadImage> bad;
  for_each_feature_batch(
      *frozen->encoder, dataset, options,
      [&](const Batch& batch, const Tensor& features) {
        end_if_interrupted(fmt::format("{} was not written; the same command begins anew", flags.out));
        Tensor rows = features.to(Device::cpu, DType::f32);
        if (classifier) rows = linear(rows, classifier->weight, classifier->bias);
        writer.append<float>(
            std::span<const float>(rows.data<float>(), static_cast<std::size_t>(rows.numel())));
        used.insert(used.end(), batch.indices.begin(), batch.indices.end());
      },
      &bad);
  check(!used.empty(), ExitCode::data, "{}: not one image could be read", flags.data.path);
  write_labels_and_paths(writer, dataset, used);
  writer.commit();
  fmt::print("{}: {} images of {} classes, {} {} each\n", flags.out, used.size(), dataset.classes(), columns,
             classifier ? "logits" : "features");
  std::erase_if(bad, [](const BadImage& image) { return image.outcome != Outcome::rejected; });
  if (!bad.empty())
    fmt::print("{} images could not be read and are left out, for example {}: {}\n", bad.size(), bad[0].path,
               bad[0].reason);
  return 0;
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::embed);
}
