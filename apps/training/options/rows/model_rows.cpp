#include <kindred/apps/training/options/presets.h>
#include <kindred/apps/training/options/rows/option_parts.h>

namespace kindred::option_parts {

std::vector<AnyOptionRow> model_rows() {
  return {
      Text("--out", nullptr, "folder for the results", &O::out),
      // Its key is its old name, so that earlier runs can resume.
      Text("--preset,--recipe", "recipe", preset_help(), &O::preset),
      Text("--model", "model",
           "encoder: resnet18 to resnet152, resnet20 to resnet56 (resnet50; on a CPU, if --image-size is not "
           "given either: resnet20 or resnet18, by the size and number of the pictures)",
           &O::model)
          .preset(&G::model)
          .otherwise("resnet50")
          .text(known_model),
      Text("--weights", "weights",
           "file of initial weights: an encoder.safetensors, a checkpoint or RUN of an earlier run, or "
           "torchvision's, "
           "timm's or SupContrast's weights",
           &O::weights),
      Switch("--best", "best", "with --weights RUN: the encoder of its best epoch, not the last", &O::best)
          .recorded_if([](const O& o) { return o.best; }),
      Text("--freeze-until", "freeze_until",
           "with --weights: the stages of the encoder up to this one do not learn: stem, layer1 to layer4, or "
           "encoder; none: all learn (none)",
           &O::freeze_until)
          .recorded_if([](const O& o) { return !o.freeze_until.empty(); }),
      Number("--encoder-lr-factor", "encoder_lr_factor",
             "learning rate of the encoder, relative to that of the head or classifier (1)",
             &O::encoder_lr_factor)
          .must_be("a number above 0", positive)
          .recorded_if([](const O& o) { return o.encoder_lr_factor != 1; }),
      Count("--views", "views", "augmented views of each image (2)", &O::views)
          .preset(&G::views)
          .otherwise(2)
          .must_be("1 to 64", within<1, 64>),
      Count("--image-size", "image_size",
            "side of a view in pixels (224; on a CPU, if --model is not given either: 32 to 128)",
            &O::image_size)
          .preset(&G::image_size)
          .otherwise(224)
          .must_be("8 to 4096 pixels", within<8, 4096>),
      Count("-b,--batch-size", "batch_size",
            "images in a batch, over all processes (256, or as many as a smaller set has)", &O::batch_size)
          .preset(&G::batch_size)
          .otherwise(256)
          .must_be("1 to 1048576", within<1, 1 << 20>),
      Count("--epochs", "epochs",
            "passes over the training images (100; on a CPU, if neither --model nor --image-size is given: "
            "fewer for a large set)",
            &O::epochs)
          .preset(&G::epochs)
          .otherwise(100)
          .must_be("1 to 1000000", within<1, 1'000'000>)};
}

}  // namespace kindred::option_parts
