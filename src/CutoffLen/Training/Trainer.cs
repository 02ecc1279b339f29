using System.Runtime.InteropServices;
using CutoffLen.Common;
using CutoffLen.Data;
using CutoffLen.Distributed;
using CutoffLen.Models.Attention;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.PositionIds;
using CutoffLen.Training.Optimizers;
using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>
/// Makes optimizer steps. A step is a function of the model, the optimizer's state, the data and the step's number.
/// Sequences, position ids and dropout follow from (seed, step), not from the state of a generator. So every rank knows the
/// sequences of all. It runs its own share of the micro-batches, or its own tokens of them where ranks share sequences; the gradients,
/// the loss and the norm are sums over ranks.
/// </summary>
public sealed class Trainer : IDisposable
{
    private readonly ICollectives ranks;
    private readonly ICollectives? context; // the ranks that share each sequence with this one
    private readonly TrainingSequences sequences;
    private readonly PositionIdSampler positionIds;
    private readonly TextBreaks? textBreaks;
    private readonly TrainingConfig config;
    private readonly TrainingSteps steps;
    private readonly MicroBatches batches;
    private readonly ClexTraining? clex;
    private readonly LayerwiseBackprop backprop;
    private readonly GradientSum gradients;
    private readonly int nativeLength;
    private readonly int targetLength;

    /// <summary>Prepares training from step 0.</summary>
    /// <param name="model">What is trained.</param>
    /// <param name="layers">How attention sees positions, by layer.</param>
    /// <param name="sequences">The data.</param>
    /// <param name="steps">The optimizer steps, and how they are made.</param>
    /// <param name="positionIds">The position ids that a sequence's tokens get.</param>
    /// <param name="attention">What computes attention where it can.</param>
    /// <param name="targetLength">Tokens up to which position ids reach in training; null for the cutoff.</param>
    /// <param name="textBreaks">Where units of the text begin, for position ids that skip there.</param>
    public Trainer(
        TrainableModel model, LayerPlan layers, TrainingSequences sequences, TrainingSteps steps, PositionIdSampler positionIds,
        AttentionPath attention = AttentionPath.Blocked, int? targetLength = null, TextBreaks? textBreaks = null)
    {
        (Model, this.sequences, this.steps, this.positionIds, this.textBreaks) = (model, sequences, steps, positionIds, textBreaks);
        (config, ranks) = (steps.Config, model.Parameters.Ranks);
        nativeLength = model.Network.Config.NativeLength;
        this.targetLength = targetLength ?? sequences.Cutoff;
        context = config.ContextParallelSize == 1 ? null : ranks.Split(ranks.Rank / config.ContextParallelSize);
        batches = new MicroBatches(layers, model.Network, attention, context);
        clex = model.Equation is null ? null : new ClexTraining(model, (ClexMethod)layers.OfEveryLayer!);
        backprop = model.Backprop(config.Recompute, config.OffloadInputs);
        gradients = new GradientSum(model.Parameters, steps.AccumulationSteps);
        Optimizer = config.CreateOptimizer(model.Parameters);
        Trained = TrainedCounts.None(nativeLength, this.targetLength);
    }

    /// <summary>What is trained.</summary>
    public TrainableModel Model { get; }

    /// <summary>The optimizer. It counts the run's steps.</summary>
    public FlatOptimizer Optimizer { get; }

    /// <summary>The position method of each layer, as it is now: CLEX's is trained.</summary>
    public LayerPlan Layers => clex?.Update() ?? batches.Layers;

    /// <summary>Steps made.</summary>
    public long Step => Optimizer.Steps;

    /// <summary>Steps of the whole run.</summary>
    public long TotalSteps => steps.Total;

    /// <summary>Tokens trained so far, by position.</summary>
    public TrainedCounts Trained { get; set; }

    /// <summary>Makes the next optimizer step.</summary>
    /// <exception cref="UserException">Loss or gradient are not finite; the model is as the last step left it.</exception>
    public StepReport TrainStep()
    {
        using var scope = NewDisposeScope();
        var step = Step;
        var rows = Rows(step);
        var targets = rows.Sum(row => (long)row.Sequence.TargetCount);
        var scale = 1.0 / Math.Max(1, targets);
        gradients.Clear();
        if (clex is not null)
        {
            batches.Layers = clex.Update();
        }

        var loss = ranks.Sum(Share(rows.Chunk(config.PerDeviceTrainBatchSize)).Sum(batch => RunBatch(batch.Rows, step, batch.Number, scale))) * scale;
        var total = gradients.Reduce(); // [shard]
        var norm = Model.Parameters.GradientNorm(total);
        if (!double.IsFinite(norm))
        {
            throw NotFinite(FormattableString.Invariant($"the gradient's norm is {norm}"), step, rows, gradients.LargestOfAll());
        }

        var rate = steps.Schedule.At(step);
        var factor = config.MaxGradNorm > 0 ? Math.Min(1, config.MaxGradNorm / Math.Max(norm, double.Epsilon)) : 1;
        Optimizer.Step(rate, factor, total);
        Trained = rows.Aggregate(Trained, (counts, row) => counts.With(row.Sequence, row.Positions, nativeLength));
        return new StepReport(
            Step, Step / (double)steps.PerEpoch, targets == 0 ? null : loss, norm, rate, rows.Sum(row => (long)row.Sequence.Tokens.Length), targets, Checksum(rows));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        batches.Dispose();
        context?.Dispose();
        gradients.Dispose();
        Optimizer.Dispose();
    }

    private PositionedSequence[] Rows(long step)
    {
        var (epoch, first, count) = steps.Of(step);
        return [.. Enumerable.Range(0, count).Select(n => Positioned(sequences[epoch, first + n], step, n))];
    }

    /// <summary>The micro-batches of this rank and of those that share its sequences: neighbours, with their numbers in the step.</summary>
    private IEnumerable<(int Number, PositionedSequence[] Rows)> Share(IEnumerable<PositionedSequence[]> batches)
    {
        var all = batches.Index().ToList();
        var (group, groups) = (ranks.Rank / config.ContextParallelSize, steps.DataParallelSize);
        return all[(all.Count * group / groups)..(all.Count * (group + 1) / groups)];
    }

    private static uint Checksum(IEnumerable<PositionedSequence> rows)
    {
        var checksum = default(Crc32C);
        foreach (var numbers in rows.SelectMany(row => new[] { row.Sequence.Tokens, row.Sequence.Targets, row.Positions.Ids }))
        {
            checksum.Append(MemoryMarshal.AsBytes<int>(numbers));
        }

        return checksum.Value;
    }

    private PositionedSequence Positioned(TrainingSequence sequence, long step, int row)
    {
        var breaks = textBreaks?.Of(sequence) ?? [];
        var draw = new PositionDraw(config.Seed, step, row);
        return new PositionedSequence(sequence, positionIds.Sample(sequence.Positions, targetLength, draw, breaks, sequence.Padding));
    }

    /// <summary>Forward and backward of one micro-batch; its summed loss in nats.</summary>
    private double RunBatch(PositionedSequence[] rows, long step, int number, double scale)
    {
        using var scope = NewDisposeScope();
        var batch = batches.Of(rows);
        using var dropout = Model.Adapters?.Dropout.For(step, (long)number * config.PerDeviceTrainBatchSize * sequences.Cutoff, batch.TokenIndices);
        var angles = clex?.Angles(batch);
        var loss = backprop.Run(batch.Tokens, batch.Targets, batch.Plans, scale, angles).item<double>();
        if (angles is not null)
        {
            clex!.AddGradient(batch, angles);
        }

        gradients.Add();
        return double.IsFinite(loss) ? loss : throw NotFinite(FormattableString.Invariant($"the loss is {loss}"), step, rows, gradients.Largest());
    }

    private UserException NotFinite(string what, long step, IEnumerable<PositionedSequence> rows, (string Name, double Norm) largest) => new(
        FormattableString.Invariant($"step {step + 1}: {what}; the largest gradient is that of {largest.Name} (norm {largest.Norm:g3}), ")
        + $"the sequences are {string.Join("; ", rows.Select(row => sequences.Describe(row.Sequence)))}. "
        + "The model is unchanged by this step and the last checkpoint is kept; a lower learning_rate, a longer warm-up or dtype: fp32 may help");
}
