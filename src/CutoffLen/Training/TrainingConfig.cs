using System.ComponentModel.DataAnnotations;
using System.ComponentModel;
using CutoffLen.Common;
using CutoffLen.Training.Optimizers;

namespace CutoffLen.Training;

/// <summary>What is trained.</summary>
public enum TrainingMethod
{
    /// <summary>All weights.</summary>
    Full,

    /// <summary>Low-rank adapters, and what modules_to_save names.</summary>
    Lora,
}

/// <summary>The optimizers.</summary>
public enum OptimizerKind
{
    /// <summary>Adam with decoupled weight decay (arXiv 1711.05101).</summary>
    Adamw,

    /// <summary>Signs of interpolated momentum (arXiv 2302.06675).</summary>
    Lion,

    /// <summary>Plain gradient descent.</summary>
    Sgd,
}

/// <summary>
/// How it is trained. Defaults are the recipe of position interpolation (Chen et al., arXiv 2306.15595, section 3.1) for
/// models of 7B parameters. Its 20 steps of warm-up in 1000 are a ratio here, so that short runs have a warm-up too.
/// </summary>
public sealed record TrainingConfig
{
    private const string SameBits = "changes no bit of the trained model";
    private const string InRates = "compared as learning_rates";
    private const string InBatch = "compared as total_train_batch_size";

    /// <summary>Where the run is written.</summary>
    [Description("Folder of the run.")]
    [Also("out")]
    [NotCompared(SameBits)]
    public string? OutputDir { get; init; }

    /// <summary>full or lora.</summary>
    [Description("full or lora.")]
    [Also("finetuning_type")]
    public TrainingMethod Method { get; init; } = TrainingMethod.Full;

    /// <summary>adamw, lion or sgd.</summary>
    [Also("optim")]
    [Synonym("adamw_torch", "adamw")]
    [Synonym("adamw_torch_fused", "adamw")]
    public OptimizerKind Optimizer { get; init; } = OptimizerKind.Adamw;

    /// <summary>The largest learning rate.</summary>
    [Range(0.0, 10.0, MinimumIsExclusive = true)]
    [Also("lr")]
    [NotCompared(InRates)]
    public double LearningRate { get; init; } = 2e-5;

    /// <summary>constant, linear or cosine, each after the warm-up.</summary>
    [Synonym("constant_with_warmup", "constant")]
    [Also("lr_scheduler")]
    [NotCompared(InRates)]
    public ScheduleShape LrSchedulerType { get; init; } = ScheduleShape.Constant;

    /// <summary>Steps of warm-up; 0 leaves it to warmup_ratio.</summary>
    [Range(0, int.MaxValue)]
    [NotCompared(InRates)]
    public int WarmupSteps { get; init; }

    /// <summary>Warm-up as a share of all steps.</summary>
    [Range(0.0, 1.0)]
    [NotCompared(InRates)]
    public double WarmupRatio { get; init; } = 0.02;

    /// <summary>Decoupled weight decay, on matrices only.</summary>
    [Range(0.0, 10.0)]
    public double WeightDecay { get; init; }

    /// <summary>Decay of the first moment.</summary>
    [Range(0.0, 1.0, MaximumIsExclusive = true)]
    public double AdamBeta1 { get; init; } = 0.9;

    /// <summary>Decay of the second moment.</summary>
    [Range(0.0, 1.0, MaximumIsExclusive = true)]
    public double AdamBeta2 { get; init; } = 0.95;

    /// <summary>Keeps the update finite where the second moment is zero.</summary>
    [Range(0.0, 1.0, MinimumIsExclusive = true)]
    public double AdamEpsilon { get; init; } = 1e-8;

    /// <summary>Gradients are scaled down to this global norm; 0 for no clipping.</summary>
    [Range(0.0, double.MaxValue)]
    public double MaxGradNorm { get; init; } = 1;

    /// <summary>Optimizer steps; null leaves it to num_train_epochs.</summary>
    [Description("Optimizer steps; else passes over the data as num_train_epochs says.")]
    [Range(1, int.MaxValue)]
    [NotCompared(InRates)]
    public int? MaxSteps { get; init; }

    /// <summary>Passes over the data, whole or not.</summary>
    [Range(0.0, double.MaxValue, MinimumIsExclusive = true)]
    [Also("num_epochs")]
    [NotCompared(InRates)]
    public double NumTrainEpochs { get; init; } = 1;

    /// <summary>Sequences of one forward pass, of each rank.</summary>
    [Range(1, int.MaxValue)]
    [Also("micro_batch_size")]
    public int PerDeviceTrainBatchSize { get; init; } = 1;

    /// <summary>Forward passes of one optimizer step, of each rank.</summary>
    [Range(1, int.MaxValue)]
    [NotCompared(InBatch)]
    public int GradientAccumulationSteps { get; init; } = 1;

    /// <summary>Tokens of one optimizer step, of all ranks together, instead of gradient_accumulation_steps.</summary>
    [Tokens]
    [Range(2, int.MaxValue)]
    [NotCompared(InBatch)]
    public int? TokensPerStep { get; init; }

    /// <summary>P, ranks that share each sequence (arXiv 2407.21783, section 3.3.2); divides the number of ranks.</summary>
    [Range(1, 65_536)]
    [NotCompared("changes the order of sums only")]
    public int ContextParallelSize { get; init; } = 1;

    /// <summary>Whether an incomplete last step of an epoch is left out.</summary>
    public bool DataloaderDropLast { get; init; }

    /// <summary>Seed of every random draw.</summary>
    [Description("Seed of every random draw.")]
    [Range(0, int.MaxValue)]
    public int Seed { get; init; } = 42;

    /// <summary>none, mlp or layers.</summary>
    public Recompute Recompute { get; init; } = Recompute.None;

    /// <summary>Whether the stored inputs of layers are kept in host memory.</summary>
    [NotCompared(SameBits)]
    public bool OffloadInputs { get; init; }

    /// <summary>Whether the optimizer's state is kept in host memory.</summary>
    [NotCompared(SameBits)]
    public bool OffloadOptimizer { get; init; }

    /// <summary>Steps between lines of the log.</summary>
    [Range(1, int.MaxValue)]
    [NotCompared(SameBits)]
    public int LoggingSteps { get; init; } = 10;

    /// <summary>Steps between checkpoints; 0 saves at the end only.</summary>
    [Range(0, int.MaxValue)]
    [NotCompared(SameBits)]
    public int SaveSteps { get; init; } = 500;

    /// <summary>Checkpoints that are kept, the newest; null for all.</summary>
    [Range(1, int.MaxValue)]
    [NotCompared(SameBits)]
    public int? SaveTotalLimit { get; init; } = 2;

    /// <summary>Forward passes of one optimizer step, of each rank, by gradient_accumulation_steps or by tokens_per_step.</summary>
    /// <param name="cutoff">Tokens of a sequence.</param>
    /// <param name="ranks">Ranks that share the sequences of a step.</param>
    /// <exception cref="UserException">tokens_per_step is not a whole number of passes.</exception>
    public int AccumulationSteps(int cutoff, int ranks = 1)
    {
        if (TokensPerStep is not { } tokens)
        {
            return GradientAccumulationSteps;
        }

        var pass = (long)PerDeviceTrainBatchSize * cutoff * ranks;
        return tokens % pass == 0
            ? (int)(tokens / pass)
            : throw new UserException($"tokens_per_step: {tokens} is not a multiple of per_device_train_batch_size * cutoff_len{(ranks > 1 ? $" * {ranks} ranks" : "")} = {pass}");
    }

    /// <summary>Groups of context_parallel_size ranks; each group trains on other sequences.</summary>
    /// <param name="ranks">Ranks of the run.</param>
    /// <exception cref="UserException">The ranks make no whole groups.</exception>
    public int DataParallelSize(int ranks) => ranks % ContextParallelSize == 0
        ? ranks / ContextParallelSize
        : throw new UserException(
            $"context_parallel_size: {ContextParallelSize} needs a multiple of {ContextParallelSize} ranks, and this run has {ranks}; start it with mpirun -np {ContextParallelSize}");

    /// <summary>The optimizer in its initial state.</summary>
    public FlatOptimizer CreateOptimizer(FlatParameters parameters) => Optimizer switch
    {
        OptimizerKind.Lion => new Lion(parameters, AdamBeta1, AdamBeta2, WeightDecay, OffloadOptimizer),
        OptimizerKind.Sgd => new Sgd(parameters, WeightDecay, OffloadOptimizer),
        _ => new AdamW(parameters, new AdamWSettings(AdamBeta1, AdamBeta2, AdamEpsilon, WeightDecay), OffloadOptimizer),
    };
}
