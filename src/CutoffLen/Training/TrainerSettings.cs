using CutoffLen.Models.Attention;
using CutoffLen.Training.Optimizers;

namespace CutoffLen.Training;

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

/// <summary>The optimizer and its numbers.</summary>
/// <param name="Kind">Which one.</param>
/// <param name="Numbers">Betas, epsilon and weight decay, those that it has.</param>
/// <param name="InHostMemory">Whether its state is kept in host memory.</param>
public sealed record OptimizerSettings(OptimizerKind Kind, AdamWSettings Numbers, bool InHostMemory = false)
{
    /// <summary>The optimizer in its initial state.</summary>
    public FlatOptimizer Create(FlatParameters parameters) => Kind switch
    {
        OptimizerKind.Lion => new Lion(parameters, Numbers.Beta1, Numbers.Beta2, Numbers.WeightDecay, InHostMemory),
        OptimizerKind.Sgd => new Sgd(parameters, Numbers.WeightDecay, InHostMemory),
        _ => new AdamW(parameters, Numbers, InHostMemory),
    };
}

/// <summary>What decides the bits of a run besides model, data and position method.</summary>
/// <param name="Seed">Of every random draw, together with the step and what is drawn.</param>
/// <param name="TotalSteps">Optimizer steps of the run.</param>
/// <param name="Schedule">The learning rate of each step.</param>
/// <param name="Optimizer">The optimizer.</param>
public sealed record TrainerSettings(long Seed, long TotalSteps, LearningRateSchedule Schedule, OptimizerSettings Optimizer)
{
    /// <summary>Sequences of one forward pass.</summary>
    public int BatchSize { get; init; } = 1;

    /// <summary>Forward passes of one step.</summary>
    public int AccumulationSteps { get; init; } = 1;

    /// <summary>Whether an incomplete last step of an epoch is left out.</summary>
    public bool DropLast { get; init; }

    /// <summary>The global norm that gradients are scaled down to; 0 for no clipping.</summary>
    public double MaxGradientNorm { get; init; } = 1;

    /// <summary>What the backward pass keeps.</summary>
    public Recompute Recompute { get; init; }

    /// <summary>What computes attention where it supports the method.</summary>
    public AttentionPath Attention { get; init; }

    /// <summary>Whether the kept inputs of layers are offloaded to host memory.</summary>
    public bool OffloadInputs { get; init; }

    /// <summary>Tokens up to which position ids reach in training; null for the cutoff.</summary>
    public int? TargetLength { get; init; }
}

/// <summary>What one optimizer step did.</summary>
/// <param name="Step">Steps made so far, this one counted.</param>
/// <param name="Epoch">Passes over the data so far.</param>
/// <param name="Loss">Mean over all target tokens of the step, in nats.</param>
/// <param name="GradientNorm">The global norm before clipping.</param>
/// <param name="LearningRate">The learning rate of the step.</param>
/// <param name="Tokens">Tokens that went through the model.</param>
/// <param name="Targets">Tokens that the loss is over.</param>
/// <param name="Data">Checksum of tokens, targets and position ids. Runs with equal ones had the same data in the same order.</param>
public sealed record StepReport(long Step, double Epoch, double Loss, double GradientNorm, double LearningRate, long Tokens, long Targets, uint Data);
