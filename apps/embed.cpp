// Writes the features of images to a file for NumPy or a table: for search, clustering, or another classifier.
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/data_options.h>
#include <kindred/apps/console/images/given_images.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/messages/bad_images_line.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/embedding_file.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/evaluation/features.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/linear/linear.h>
#include <kindred/models/classifier_file.h>

#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kindred {
namespace {

struct Flags {
  DataFlags data;
  EncoderFlags encoder;
  std::string out, classifier;
};

void add_flags(CommandLine& line, Flags& f) {
  f.data.takes_unlabelled = true;
  f.data.add_to(line);
  f.encoder.add_to(line);
  line.add("--out", f.out, "the file to write, .npz or .csv; an existing file is replaced")
      .required()
      .writes_file();
  f.data.add_split_to(line,
                      "the images of a set to use (val if there are some, else test; all of a folder without "
                      "such parts)");
  line.add("--classifier", f.classifier,
           "writes the logits of this classifier.safetensors in place of the features");
  line.add_quiet();
}

int embed(int argc, char** argv) {
  CommandLine line(
      "Writes the features of every image, with paths and classes. DIR may also be a folder of images, a text "
      "file "
      "(.txt) with a path on each line, or an image.",
      "embed");
  Flags flags;
  add_flags(line, flags);
  if (const auto done = line.parse(argc, argv)) return *done;
  flags.data.check_values();
  flags.data.check_outside("--out", flags.out);
  check_output_file("--out", flags.out, "features.npz");
  check_embedding_name(flags.out);
  flags.encoder.check_values();
  flags.classifier = classifier_file(flags.classifier, flags.encoder.best);
  watch_for_interrupts();
  flags.data.exif = flags.encoder.encoder_info().exif;
  const Dataset dataset = open_images(flags.data);
  const auto frozen = flags.encoder.load();
  std::optional<Classifier> classifier;
  if (!flags.classifier.empty()) {
    classifier = load_classifier(flags.classifier, frozen->encoder->feature_dim);
    if (const auto warning = other_encoder_warning(*classifier, flags.classifier, frozen->store);
        !warning.empty())
      fmt::print("{}\n", one_line(warning));
  }

  EmbeddingContent content{dataset};
  content.columns = classifier ? classifier->classes() : frozen->encoder->feature_dim;
  content.logits = classifier.has_value();
  if (classifier) content.logit_classes = classifier->class_names;
  content.has_classes = dataset.origin().has_classes();
  const auto file = begin_embedding(flags.out, content);
  std::int64_t images = 0;
  FeatureOptions& options = frozen->features;
  options.what = "embedding";
  std::vector<BadImage> bad;
  for_each_feature_batch(
      *frozen->encoder, dataset, options,
      [&](const Batch& batch, const Tensor& features) {
        end_if_interrupted(fmt::format("{} was not written; the same command begins anew", flags.out));
        Tensor rows = finite_on_host(features);
        if (classifier) rows = linear(rows, classifier->weight, classifier->bias);
        const std::span<const float> values(rows.data<float>(), static_cast<std::size_t>(rows.numel()));
        file->append(values, batch.indices);
        images += batch.rows();
      },
      &bad);
  std::erase_if(bad, [](const BadImage& image) { return image.outcome != Outcome::rejected; });
  check(images > 0, ExitCode::data, "{}: not one image could be read{}", flags.data.path,
        bad.empty() ? "" : fmt::format(", for example {}: {}", bad[0].path, bad[0].reason));
  file->commit();
  results_follow();
  fmt::print("{}: {}{} from {} ({}), {} {} each\n", flags.out, counted(images, "image"),
             content.has_classes ? " of " + counted(dataset.classes(), "class") : "", dataset.origin().folder,
             dataset.origin().part, content.columns, classifier ? "logits" : "features");
  if (!bad.empty()) fmt::print("{}\n", left_out_line(bad.size(), bad[0]));
  const std::int64_t unreadable = std::ssize(bad);
  check(unreadable <= images, ExitCode::data,
        "{} of {} could not be read, more than half; {} holds the features of the others", unreadable,
        counted(images + unreadable, "image"), flags.out);
  return 0;
}

const Program embed_program("embed", "writes the features of images as a .npz or .csv file", embed);

}  // namespace
}  // namespace kindred
