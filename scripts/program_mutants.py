"""Errors between flags and figures that the tests must notice, one at a time; scripts/mutation_test.py plants them.

Each: source, the text as it stands, the text with the error, the test cases that must go red, and the programs that
the error reaches. Kernels have a list of their own in mutation_test.py.
"""

PRETRAIN = ["pretrain"]
PROBE = ["linear_probe"]

MUTANTS = [
    # ---- what is trained
    ("apps/common/step.cpp", "by_image = loss_options(options).by_image()", "by_image = false && loss_options(options).by_image()",
     "by hand: simclr*", PRETRAIN),
    ("apps/common/learner.cpp", "if (momentum_) momentum_->follow(model_);", "",
     "by hand: a momentum*", PRETRAIN),
    ("apps/common/learner.cpp", "const std::int64_t self = momentum_ ? contrasts.dim(0) : 0;",
     "const std::int64_t self = 0;", "by hand: a momentum*", PRETRAIN),
    ("apps/common/learner.cpp", "queue_->push(newest, labels.rows(rows - newest.dim(0), rows));",
     "queue_->push(newest, labels.rows(0, newest.dim(0)));", "by hand: a queue*", PRETRAIN),
    ("apps/common/step.cpp", "sgd.weight_decay = options.weight_decay;", "", "by hand: supcon,*", PRETRAIN),
    ("apps/common/step.cpp", "lars.weight_decay = options.weight_decay;", "", "by hand: LARS*", PRETRAIN),
    ("apps/common/step.cpp", "sgd.momentum = options.momentum;", "", "by hand: supcon,*", PRETRAIN),
    ("apps/pretrain.cpp", "schedule_.at(step)));", "schedule_.at(step + 1)));", "by hand: the learning rate*", PRETRAIN),
    ("apps/common/step.cpp", "warmup.start = o.warmup_start_lr;", "", "by hand: the learning rate*", PRETRAIN),
    ("apps/common/step.cpp", "o.lr * o.lr_floor", "o.lr_floor", "by hand: the learning rate*", PRETRAIN),
    ("apps/common/training_data.cpp", "loading.seed = o.seed;", "", "by hand: LARS*", PRETRAIN),
    ("apps/common/loss.cpp", "o.supcon.base_temperature = static_cast<float>(base_temperature);", "",
     "by hand: supcon,*", PRETRAIN),
    ("apps/common/loss.cpp", '{"in", SupConVariant::in}', '{"in", SupConVariant::out}', "by hand: every variant*", PRETRAIN),
    ("apps/common/loss.cpp", '{"only-negatives", SupConDenominator::only_negatives}',
     '{"only-negatives", SupConDenominator::one_positive}', "by hand: every variant*", PRETRAIN),
    ("apps/common/loss.cpp", '{"batch-hard", TripletMining::batch_hard}', '{"batch-hard", TripletMining::batch_all}',
     "by hand: triplets*", PRETRAIN),
    ("apps/common/loss.cpp", "cross_entropy(features, labels, options.label_smoothing)", "cross_entropy(features, labels, 0)",
     "by hand: cross-entropy*", PRETRAIN),
    ("apps/common/learner.cpp", "o.batch_size / o.micro_batch", "o.micro_batch", "by hand: micro-batches*", PRETRAIN),
    ("apps/pretrain.cpp", "const bool is_best = score > state_.best", "const bool is_best = score < state_.best",
     "the best checkpoint*", PRETRAIN),
    # ---- what is reported
    ("apps/common/nearest_neighbours.cpp", "? similarities[a] > similarities[b] :", "? similarities[a] < similarities[b] :",
     "nearest neighbours*", []),
    ("apps/common/nearest_neighbours.cpp", "std::exp((similarities[row] - 1) / vote_temperature)", "1.0",
     "nearest neighbours*", []),
    ("apps/common/nearest_neighbours.cpp", "queries.labels[static_cast<std::size_t>(first + q)]",
     "queries.labels[static_cast<std::size_t>(q)]", "nearest neighbours*", []),
    ("apps/common/accuracies.cpp", "extract_features(encoder, evaluation, options)", "extract_features(encoder, train, options)",
     "figures: nearest*", PRETRAIN),
    ("apps/common/features.cpp", 'recipe("none", options.image_size)', 'recipe("probe", options.image_size)',
     "figures: a feature*", ["embed"]),
    ("apps/common/features.cpp", "loading.skip_bad = true;", "", "figures: paths*", ["embed"]),
    ("apps/embed.cpp", "batch.indices.begin(), batch.indices.end());", "batch.indices.rbegin(), batch.indices.rend());",
     "figures: accuracy*", ["embed"]),
    ("apps/linear_probe.cpp", "extract_features(encoder, *evaluation, features, &bad_evaluation)",
     "extract_features(encoder, train, features, &bad_evaluation)", "figures: accuracy*", PROBE),
    ("apps/common/probe.cpp", "among_five += rank <= 5;", "among_five += rank <= 4;", "figures: accuracy*", PROBE),
    ("apps/common/classifying.cpp", "among_five_ += rank <= 5;", "among_five_ += rank <= 4;", "scores: accuracy*", []),
    ("apps/common/classifying.cpp", "matched.push_back(place->second);", "matched.push_back(static_cast<std::int32_t>(i));",
     "figures: a classifier*", ["evaluate"]),
    ("apps/common/probe.cpp", "bias[i / static_cast<std::size_t>(dim_)] -= weight[i] * mean_[d];", "",
     "figures: accuracy*", PROBE),
    # ---- constants
    ("data/augment.cpp", "std::int64_t{size} * 256 + 112", "std::int64_t{size} * 240 + 112", "draws: what is not*", []),
    ("data/recipe.cpp", ".hue = 0.2}", ".hue = 0.1}", "draws: SimAugment*", []),
    ("data/augment.cpp", "uniform(random, step.min_sigma, step.max_sigma)", "uniform(random, step.min_sigma, step.max_sigma / 2)",
     "draws: SimAugment*", []),
    ("data/corruption.cpp", "detail::apply(pixels, side, corruption, severity - 1, random);",
     "detail::apply(pixels, side, corruption, severity > 1 ? severity - 2 : 0, random);", "corruptions: every severity*", []),
    ("apps/common/saver.cpp", "o.pixel_statistics()", "imagenet_pixels", "by hand: supcon,*", PRETRAIN),
    ("apps/onnx/onnx_file.cpp", '"epsilon", batch_norm_epsilon', '"epsilon", 10 * batch_norm_epsilon', "onnx: *", ["export"]),
]
