using System.Diagnostics;
using CutoffLen.Common;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Hardware;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Training;
using CutoffLen.Training.Optimizers;
using TorchSharp;
using static TorchSharp.torch;

namespace CutoffLen.Runs.Check;

/// <summary>What <c>attention: auto</c> takes for RoPE in rows of a length, and the speed with it.</summary>
/// <param name="Length">Tokens of a row; a batch is one row.</param>
/// <param name="Attention">The attention path, sdpa or blocked.</param>
/// <param name="Reason">Why it was taken.</param>
/// <param name="TrainingTokensPerSecond">Of forward, backward and AdamW's step.</param>
/// <param name="ScoringTokensPerSecond">Of a forward pass that scores every token.</param>
public sealed record LengthSpeed(int Length, string Attention, string Reason, double TrainingTokensPerSecond, double ScoringTokensPerSecond);

/// <summary>Measures training and scoring of a model with random weights.</summary>
internal sealed class SpeedCheck : IDisposable
{
    private const double LearningRate = 1e-5;

    private readonly DeviceAndDtype compute;
    private readonly double seconds;
    private readonly PositionMethod method;
    private readonly TrainableModel model;
    private readonly LayerwiseBackprop backprop;
    private readonly FlatOptimizer optimizer;

    /// <summary>Draws the weights, into the current scope.</summary>
    /// <param name="compute">Device and dtype.</param>
    /// <param name="config">The architecture.</param>
    /// <param name="seconds">The least time of a measurement.</param>
    public SpeedCheck(DeviceAndDtype compute, LlamaConfig config, double seconds)
    {
        (this.compute, this.seconds) = (compute, seconds);
        method = new RopeMethod(config.Positions);
        var weights = InitialWeights.Draw(config, 1).ToDictionary(weight => weight.Name, weight => weight.Tensor);
        model = TrainableModel.Full(config, (name, _) => weights[name], compute.Dtype, compute.Device);
        backprop = model.Backprop(Recompute.None);
        optimizer = new TrainingConfig().CreateOptimizer(model.Parameters);
    }

    /// <summary>The speed in rows of a length.</summary>
    public LengthSpeed At(int length, CancellationToken stop)
    {
        using var scope = NewDisposeScope();
        var (network, random) = (model.Network, new KeyedRandom(1, "tokens"));
        var choice = AttentionChoice.Of(AttentionChoice.Auto, method, network.Config, compute.Device, compute.Dtype, length);
        int[] tokens = [.. Enumerable.Range(0, length + 1).Select(_ => (int)random.Below(network.Config.VocabSize))];
        var (inputs, targets) = (Row(tokens[..^1]), Row(tokens[1..]));
        using var plan = AttentionPlan.Create(method, TokenPositions.Sequential(length), network.Config, compute.Device, choice.Path);
        using var scorer = new LlamaScorer(network, method, choice.Path);
        var request = new ScoringRequest(tokens[..^1], [.. Enumerable.Range(0, length)], tokens[1..]);
        return new LengthSpeed(
            length, MethodError.Word(choice.Path), choice.Reason,
            length / SecondsOf(() => Train(inputs, targets, plan), stop), length / SecondsOf(() => scorer.Nll([request]), stop));

        Tensor Row(int[] ids) => tensor(ids, ScalarType.Int64).view(1, -1).to(compute.Device); // [1, T]
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        optimizer.Dispose();
        model.Dispose();
    }

    private void Train(Tensor inputs, Tensor targets, AttentionPlan plan)
    {
        model.Parameters.Gradients.zero_();
        backprop.Run(inputs, targets, plan, 1.0 / inputs.numel());
        optimizer.Step(LearningRate, Math.Min(1, 1 / model.Parameters.GradientNorm(model.Parameters.Gradients)));
    }

    /// <summary>Seconds of the fastest run, of two at least. One before them is not counted: it fills caches and chooses kernels.</summary>
    private double SecondsOf(Action run, CancellationToken stop)
    {
        var (clock, fastest) = (Stopwatch.StartNew(), double.PositiveInfinity);
        for (var runs = 0; runs < 3 || clock.Elapsed.TotalSeconds < seconds; runs++)
        {
            stop.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var start = clock.Elapsed;
            run();
            if (compute.Device.type == DeviceType.CUDA)
            {
                cuda.synchronize(compute.Device);
            }

            fastest = runs == 0 ? fastest : Math.Min(fastest, (clock.Elapsed - start).TotalSeconds);
        }

        return fastest;
    }
}
