using CutoffLen.Common;

namespace CutoffLen.Training;

/// <summary>
/// The optimizer steps of a run: their number, the learning rate of each and its sequences. A step stays inside an epoch.
/// The last step of an epoch takes what is left, as Hugging Face's trainer does, or is left out
/// (<c>dataloader_drop_last</c>).
/// </summary>
public sealed class TrainingSteps
{
    private readonly int sequences;

    /// <summary>Orders the sequences of all epochs into steps.</summary>
    /// <param name="config">Batch sizes, the length of the run, the learning rate.</param>
    /// <param name="sequences">Sequences of an epoch.</param>
    /// <param name="cutoff">Tokens of a sequence.</param>
    /// <param name="ranks">Ranks of the run.</param>
    /// <exception cref="UserException">No step would be left, or the ranks make no whole groups of context_parallel_size.</exception>
    public TrainingSteps(TrainingConfig config, int sequences, int cutoff, int ranks = 1)
    {
        (Config, this.sequences) = (config, sequences);
        DataParallelSize = config.DataParallelSize(ranks);
        AccumulationSteps = config.AccumulationSteps(cutoff, DataParallelSize);
        TotalTrainBatchSize = config.PerDeviceTrainBatchSize * AccumulationSteps * DataParallelSize;
        PerEpoch = config.DataloaderDropLast ? sequences / TotalTrainBatchSize : (sequences + TotalTrainBatchSize - 1) / TotalTrainBatchSize;
        if (PerEpoch == 0)
        {
            throw new UserException(
                $"the data makes {sequences} sequences, fewer than the {TotalTrainBatchSize} of one step; use more data, smaller steps, or dataloader_drop_last: false");
        }

        Total = config.MaxSteps ?? (long)Math.Ceiling(config.NumTrainEpochs * PerEpoch);
        var warmup = LearningRateSchedule.Warmup(config.WarmupSteps, config.WarmupRatio, Total);
        Schedule = new LearningRateSchedule(config.LrSchedulerType, config.LearningRate, warmup, Total);
    }

    /// <summary>How the steps are made.</summary>
    public TrainingConfig Config { get; }

    /// <summary>Groups of context_parallel_size ranks. Each has other sequences of a step.</summary>
    public int DataParallelSize { get; }

    /// <summary>Forward passes of a step, of each rank.</summary>
    public int AccumulationSteps { get; }

    /// <summary>
    /// Sequences of a step, as Hugging Face's trainer counts them: per_device_train_batch_size x gradient_accumulation_steps x
    /// ranks (groups of them, where they share sequences).
    /// </summary>
    public int TotalTrainBatchSize { get; }

    /// <summary>Steps of an epoch.</summary>
    public int PerEpoch { get; }

    /// <summary>Steps of the run: max_steps where given, else those of num_train_epochs, rounded up.</summary>
    public long Total { get; }

    /// <summary>The learning rate of each step.</summary>
    public LearningRateSchedule Schedule { get; }

    /// <summary>The epoch of a step, and its sequences by their index in the epoch's order.</summary>
    public (int Epoch, int First, int Count) Of(long step)
    {
        var epoch = (int)(step / PerEpoch);
        var first = (int)(step % PerEpoch) * TotalTrainBatchSize;
        return (epoch, first, Math.Min(TotalTrainBatchSize, sequences - first));
    }
}

/// <summary>What one optimizer step did.</summary>
/// <param name="Step">Steps made so far, this one counted.</param>
/// <param name="Epoch">Passes over the data so far.</param>
/// <param name="Loss">Mean over all target tokens of the step, in nats; null where there are none.</param>
/// <param name="GradientNorm">The global norm before clipping.</param>
/// <param name="LearningRate">The learning rate of the step.</param>
/// <param name="Tokens">Tokens that went through the model.</param>
/// <param name="Targets">Tokens that the loss is over.</param>
/// <param name="Data">Checksum of tokens, targets and position ids. Runs with equal ones had the same data in the same order.</param>
public sealed record StepReport(long Step, double Epoch, double? Loss, double GradientNorm, double LearningRate, long Tokens, long Targets, uint Data);
