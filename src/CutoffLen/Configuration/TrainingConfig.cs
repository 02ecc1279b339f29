using CutoffLen.Common;
using CutoffLen.Training;

namespace CutoffLen.Configuration;

/// <summary>What is trained.</summary>
public enum TrainingMethod
{
    /// <summary>All weights.</summary>
    Full,

    /// <summary>Low-rank adapters, and what modules_to_save names.</summary>
    Lora,
}

/// <summary>
/// How it is trained. Defaults are the recipe of position interpolation (Chen et al., arXiv 2306.15595, section 3.1) for
/// models of 7B parameters, its 20 steps of warm-up in 1000 as a ratio, so that short runs have one too.
/// </summary>
public sealed record TrainingConfig
{
    /// <summary>Where the run is written.</summary>
    [Also("out")]
    public string? OutputDir { get; init; }

    /// <summary>full or lora.</summary>
    [Also("finetuning_type")]
    public TrainingMethod Method { get; init; } = TrainingMethod.Full;

    /// <summary>adamw, lion or sgd.</summary>
    [Also("optim")]
    [Synonym("adamw_torch", "adamw")]
    [Synonym("adamw_torch_fused", "adamw")]
    public OptimizerKind Optimizer { get; init; } = OptimizerKind.Adamw;

    /// <summary>The largest learning rate.</summary>
    [Range(Above = 0, Most = 10)]
    [Also("lr")]
    public double LearningRate { get; init; } = 2e-5;

    /// <summary>constant, linear or cosine, each after the warm-up.</summary>
    [Synonym("constant_with_warmup", "constant")]
    [Also("lr_scheduler")]
    public ScheduleShape LrSchedulerType { get; init; } = ScheduleShape.Constant;

    /// <summary>Steps of warm-up; 0 leaves it to warmup_ratio.</summary>
    [Range(Least = 0)]
    public int WarmupSteps { get; init; }

    /// <summary>Warm-up as a share of all steps.</summary>
    [Range(Least = 0, Most = 1)]
    public double WarmupRatio { get; init; } = 0.02;

    /// <summary>Decoupled weight decay, on matrices only.</summary>
    [Range(Least = 0, Most = 10)]
    public double WeightDecay { get; init; }

    /// <summary>Decay of the first moment.</summary>
    [Range(Least = 0, Below = 1)]
    public double AdamBeta1 { get; init; } = 0.9;

    /// <summary>Decay of the second moment.</summary>
    [Range(Least = 0, Below = 1)]
    public double AdamBeta2 { get; init; } = 0.95;

    /// <summary>Keeps the update finite where the second moment is zero.</summary>
    [Range(Above = 0, Most = 1)]
    public double AdamEpsilon { get; init; } = 1e-8;

    /// <summary>Gradients are scaled down to this global norm; 0 for no clipping.</summary>
    [Range(Least = 0)]
    public double MaxGradNorm { get; init; } = 1;

    /// <summary>Optimizer steps; null leaves it to num_train_epochs.</summary>
    [Range(Least = 1)]
    public int? MaxSteps { get; init; }

    /// <summary>Passes over the data, whole or not.</summary>
    [Range(Above = 0)]
    [Also("num_epochs")]
    public double NumTrainEpochs { get; init; } = 1;

    /// <summary>Sequences of one forward pass.</summary>
    [Range(Least = 1)]
    [Also("micro_batch_size")]
    public int PerDeviceTrainBatchSize { get; init; } = 1;

    /// <summary>Forward passes of one optimizer step.</summary>
    [Range(Least = 1)]
    public int GradientAccumulationSteps { get; init; } = 1;

    /// <summary>Tokens of one optimizer step, instead of gradient_accumulation_steps.</summary>
    [Tokens]
    [Range(Least = 2)]
    public int? TokensPerStep { get; init; }

    /// <summary>Whether an incomplete last step of an epoch is left out.</summary>
    public bool DataloaderDropLast { get; init; }

    /// <summary>Seed of every random draw.</summary>
    [Range(Least = 0)]
    public int Seed { get; init; } = 42;

    /// <summary>none or layers.</summary>
    public Recompute Recompute { get; init; } = Recompute.None;

    /// <summary>Whether the stored inputs of layers are kept in host memory.</summary>
    public bool OffloadInputs { get; init; }

    /// <summary>Whether the optimizer's state is kept in host memory.</summary>
    public bool OffloadOptimizer { get; init; }

    /// <summary>Steps between lines of the log.</summary>
    [Range(Least = 1)]
    public int LoggingSteps { get; init; } = 10;

    /// <summary>Steps between checkpoints; 0 saves at the end only.</summary>
    [Range(Least = 0)]
    public int SaveSteps { get; init; } = 500;

    /// <summary>Checkpoints that are kept, the newest; null for all.</summary>
    [Range(Least = 1)]
    public int? SaveTotalLimit { get; init; } = 2;

    /// <summary>Forward passes of one optimizer step, by gradient_accumulation_steps or by tokens_per_step.</summary>
    /// <param name="cutoff">Tokens of a sequence.</param>
    /// <exception cref="UserException">tokens_per_step is not a whole number of passes.</exception>
    public int AccumulationSteps(int cutoff)
    {
        if (TokensPerStep is not { } tokens)
        {
            return GradientAccumulationSteps;
        }

        var pass = (long)PerDeviceTrainBatchSize * cutoff;
        return tokens % pass == 0
            ? (int)(tokens / pass)
            : throw new UserException($"tokens_per_step: {tokens} is not a multiple of per_device_train_batch_size * cutoff_len = {pass}");
    }
}

/// <summary>Adapters under PEFT's names.</summary>
public sealed record LoraConfig
{
    /// <summary>Rank of the adapters.</summary>
    [Range(Least = 1, Most = 65536)]
    [Also("lora_rank")]
    public int LoraR { get; init; } = 8;

    /// <summary>The adapters' product is scaled by lora_alpha / lora_r.</summary>
    [Range(Above = 0)]
    public double LoraAlpha { get; init; } = 16;

    /// <summary>Share of an adapter's inputs that is dropped in training.</summary>
    [Range(Least = 0, Below = 1)]
    public double LoraDropout { get; init; }

    /// <summary>The projections that get adapters.</summary>
    [OneOf("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")]
    [Also("target_modules", "lora_target")]
    public IReadOnlyList<string> LoraTargetModules { get; init; } = ["q_proj", "k_proj", "v_proj", "o_proj"];

    /// <summary>
    /// Modules trained whole: long-context adapters fail without embeddings and norms (LongLoRA, arXiv 2309.12307,
    /// table 2).
    /// </summary>
    [OneOf("embed_tokens", "lm_head", "norm", "input_layernorm", "post_attention_layernorm")]
    [Also("lora_modules_to_save")]
    public IReadOnlyList<string> ModulesToSave { get; init; } = ["embed_tokens", "norm", "input_layernorm", "post_attention_layernorm"];

    /// <summary>Whether to scale by lora_alpha / sqrt(lora_r) (arXiv 2312.03732).</summary>
    public bool UseRslora { get; init; }

    /// <summary>How many times larger the learning rate of the B matrices is (LoRA+, arXiv 2402.12354); 1 for LoRA's own.</summary>
    [Range(Least = 1, Most = 1000)]
    public double LoraplusLrRatio { get; init; } = 1;
}
