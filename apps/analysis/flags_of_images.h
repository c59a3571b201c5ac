// The flags that choose or embed images. They mean nothing to features that are there already.
#pragma once

namespace kindred {

inline constexpr const char* flags_of_images[] = {"--encoder",
                                                  "--weights",
                                                  "--best",
                                                  "--image-size",
                                                  "--pixels",
                                                  "--resize",
                                                  "--exif",
                                                  "--batch-size",
                                                  "--precision",
                                                  "--device",
                                                  "--workers",
                                                  "--labels",
                                                  "--limit-per-class",
                                                  "--limit-eval-per-class",
                                                  "--val-fraction",
                                                  "--val-seed",
                                                  "--val-shards",
                                                  "--shard-cache",
                                                  "--shard-timeout",
                                                  "--split"};

}  // namespace kindred
