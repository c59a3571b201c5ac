// Draws a small labelled set of pictures, so that everything runs without a download.
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/data/sets/toy.h>
#include <kindred/data/sets/toy_set.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>

#include <string>

namespace {

int make_toy_dataset(int argc, char** argv) {
  std::string out;
  kindred::ToySetOptions options;
  kindred::CommandLine line(
      "Draws a small labelled set of pictures: OUT/train/<class>/*.jpg, OUT/val/<class>/*.jpg",
      "make_toy_dataset");
  line.add("OUT", out,
           "Folder to make; it must be new, empty, or already hold exactly this set or a part of it")
      .required();
  line.add("--classes", options.classes, fmt::format("Number of classes; 2 to {}", kindred::max_toy_classes))
      .shows_default();
  line.add("--per-class", options.per_class,
           "Training images per class; a quarter as many for validation; 1 to 100000")
      .shows_default();
  line.add("--image-size", options.image_size, "Side of an image; 16 to 1024 pixels").shows_default();
  line.add_seed(options.seed, "the same seed draws the same images");
  if (const auto exit_code = line.parse(argc, argv)) return *exit_code;
  kindred::check(!out.empty(), kindred::ExitCode::usage, "OUT is empty; give the name of a folder");

  kindred::watch_for_interrupts();
  const bool drawn = kindred::make_toy_set(out, options, [&] {
    kindred::end_if_interrupted(fmt::format("{} is not complete; the same command goes on", out));
  });
  fmt::print("{}: {} {} classes, {} training and {} validation images each, {} x {} pixels\n", out,
             drawn ? "drew" : "there already, complete:", options.classes, options.per_class,
             kindred::toy_validation_images(options), options.image_size, options.image_size);
  return 0;
}

const kindred::Program make_toy_dataset_program(
    "make_toy_dataset", "draws a small labelled set, so that everything runs without a download",
    make_toy_dataset);

}  // namespace
