using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Data;
using CutoffLen.Hardware;
using CutoffLen.Memory;
using CutoffLen.Models;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.PositionIds;
using CutoffLen.Positions.Spec;
using CutoffLen.Tokenization;
using CutoffLen.Training;
using CutoffLen.Training.Optimizers;
using Serilog;
using TorchSharp;

namespace CutoffLen.Runs;

/// <summary>A fine-tuning run: everything opened, checked and said, then the training.</summary>
public sealed class FinetuneRun : IDisposable
{
    private readonly RunConfig config;
    private readonly string? resume;
    private readonly string? from;
    private readonly DeviceAndDtype compute;
    private readonly ModelFolder start;
    private readonly HuggingFaceCheckpoint checkpoint;
    private readonly CheckpointTokenizer tokenizer;
    private readonly FinetuneEvaluation? evaluation;
    private readonly TokenizedDocuments documents;
    private readonly TrainingSequences sequences;
    private readonly AttentionChoice attention;
    private readonly TrainerSettings settings;
    private readonly PositionSpec spec;
    private readonly IReadOnlyDictionary<string, string> recorded;
    private readonly IReadOnlyDictionary<string, string> machine;
    private readonly TrainingState? state;
    private readonly IRunDisplay display;

    private FinetuneRun(RunConfig config, string? resume, ModelFolder start, DeviceAndDtype compute, IRunDisplay display, CancellationToken stop)
    {
        (this.config, this.resume, this.start, this.compute, this.display) = (config, resume, start, compute, display);
        checkpoint = start.Checkpoint;
        Folder = new RunFolder(config.Training.OutputDir!);
        from = CheckpointToResume(Folder, resume);
        spec = SpecOf(config, checkpoint.Config);
        tokenizer = start.Tokenizer;
        evaluation = FinetuneEvaluation.Open(config, tokenizer, checkpoint.Config.NativeLength, stop);
        documents = OpenDocuments(config, tokenizer, stop);
        try
        {
            sequences = new TrainingSequences(documents, config.Data.CutoffLen!.Value, config.Data.Packing, config.Training.Seed, tokenizer.EosId ?? 0);
            attention = AttentionOf(config, from, spec, checkpoint.Config, compute);
            settings = SettingsOf(config, sequences) with { Attention = attention.Path };
            recorded = RunSettings.Of(config, start.Identity, spec.ToString(), compute.DtypeName, attention.Path, DescribeData(documents, tokenizer), settings.Schedule);
            machine = Machine(compute);
            state = from is null ? null : StateFor(from, recorded);
        }
        catch (UserException)
        {
            documents.Dispose();
            throw;
        }
    }

    /// <summary>The run's folder.</summary>
    public RunFolder Folder { get; }

    /// <summary>Whether nothing is left to do: the run made all its steps and its final model is there.</summary>
    public bool IsFinished => state is not null && state.Step >= settings.TotalSteps && Folder.HasFinalOf(state.Step);

    /// <summary>Opens model and data and checks everything; writes nothing.</summary>
    /// <param name="config">With model, data, cutoff and output folder given.</param>
    /// <param name="resume">null, auto, or a checkpoint's folder.</param>
    /// <param name="display">Shows what the run does.</param>
    /// <param name="stop">Ctrl-C while data are tokenized.</param>
    /// <exception cref="UserException">What is wrong; for a run that goes on also what it was started with otherwise.</exception>
    public static FinetuneRun Open(RunConfig config, string? resume, IRunDisplay display, CancellationToken stop)
    {
        var compute = DeviceAndDtype.Choose(config.Model.Device, config.Model.Dtype);
        CpuThreads.Use(config.Model.Threads);
        CheckOffload(config);
        var start = OpenBase(config.Model.Model!);
        try
        {
            return new FinetuneRun(config, resume, start, compute, display, stop);
        }
        catch (Exception fault) when (fault is UserException or OperationCanceledException)
        {
            start.Dispose();
            throw;
        }
    }

    /// <summary>Told of every measurement during training.</summary>
    public Action<EvaluationLine> OnEvaluation { get; set; } = _ => { };

    /// <summary>Trains to the end, or until <paramref name="stop"/>, which saves.</summary>
    /// <param name="stop">Ctrl-C.</param>
    /// <param name="watch">Also told of every step.</param>
    public FinetuneOutcome Train(CancellationToken stop, Action<StepReport>? watch = null)
    {
        Prepare(Folder, from, resume);
        Folder.Write(RunFolder.ConfigFile, RunConfigWriter.ToYaml(config.WithFullPaths())); // the first: it makes the folder a run's
        display.Enter(Folder.Path);
        var outlook = MemoryOutlook.Of(config, checkpoint.Config, spec, compute);
        var peak = new PeakMemory(compute);
        using var model = OpenModel(config, checkpoint, compute, from);
        checkpoint.Dispose(); // the model keeps what it needs of the files
        var positioned = new PositionedModel(model.Network, spec, Target(config), attention.Path.ToString());
        using var trainer = new Trainer(
            model, positioned.Method, sequences,
            TrainingPositionsSpec.Parse(config.Data.Positions), settings, LineBreaksFor(config, tokenizer, checkpoint.Config));
        var ledger = TokenLedger.Of(documents, sequences, checkpoint.Config.NativeLength, config.Data.TargetLen);
        if (state is not null)
        {
            TrainingRun.Resume(trainer, state, from!);
            Folder.ForgetAfter(state.Step);
            Log.Information("going on from {Checkpoint:l}, step {Step}", from!, state.Step);
            foreach (var difference in RunSettings.Differences(state.Machine, machine))
            {
                Log.Warning("resumed elsewhere: {Difference:l}; results may differ in their last bits from those of an undisturbed run", difference);
            }
        }
        else if (resume == "auto")
        {
            Log.Information("{Folder:l} holds no checkpoint yet, so the run begins at step 0", Folder.Path);
        }

        Folder.Write(RunFolder.LedgerFile, (ledger with { Trained = trainer.Trained }).ToJson() + "\n");
        FinetuneLog.Opening(config, checkpoint.Config, compute, model, ledger, trainer);
        FinetuneLog.Memory(outlook);
        ModelSession.LogProof(start.Name, compute, positioned);
        ModelSession.LogAttention(attention);
        var saved = checkpoint.Config.With(PositionConfig.Of(spec, checkpoint.Config.Positions, Target(config)));
        var rhythm = new RunRhythm(config.Training.LoggingSteps, config.Training.SaveSteps, config.Training.SaveTotalLimit, config.Evaluation.EvalSteps);
        var (last, finished) = display.Show("finetune", trainer.TotalSteps, progress =>
            new TrainingRun(trainer, Folder, saved, config.Model.Model!, recorded, machine, rhythm)
            {
                Ledger = ledger,
                OnStep = FinetuneLog.Watch(progress) + watch,
                OnLog = FinetuneLog.Line,
                Evaluation = evaluation is null ? null : cancel => evaluation.Measure(positioned, cancel),
                OnEvaluation = OnEvaluation,
            }.Run(stop));
        FinetuneLog.Memory(outlook, peak.Bytes());
        return new FinetuneOutcome(last, finished, trainer.Step, trainer.TotalSteps);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        documents.Dispose();
        start.Dispose();
    }

    /// <summary>The length whose positions are trained.</summary>
    public static int Target(RunConfig config) => config.Data.TargetLen ?? config.Data.CutoffLen!.Value;

    private static string? CheckpointToResume(RunFolder folder, string? resume) =>
        resume != "auto" ? resume : folder.Checkpoints() is [.., var newest] ? newest.Folder : null;

    /// <summary>A run goes on in its own folder; one that begins, or takes another run's checkpoint, needs a new one.</summary>
    private static void Prepare(RunFolder folder, string? from, string? resume)
    {
        if (from is null || folder.Checkpoints().All(own => Path.GetFullPath(own.Folder) != Path.GetFullPath(from)))
        {
            folder.Begin(mayRestart: resume == "auto");
        }
    }

    /// <summary>Only inputs can wait in host memory, not graphs.</summary>
    public static void CheckOffload(RunConfig config)
    {
        if (config.Training is { OffloadInputs: true, Recompute: Recompute.None })
        {
            throw new UserException("offload_inputs: true goes with recompute: layers; with recompute: none graphs are kept, which cannot be moved");
        }
    }

    private static ModelFolder OpenBase(string folder) => AdapterCheckpoint.ExistsIn(folder)
        ? throw new UserException($"--model {folder}: holds adapters; training begins from a plain checkpoint, which 'cutoff merge --model {folder} --out DIR' makes of them")
        : ModelFolder.Open(folder);

    /// <summary>The position method with every default filled in.</summary>
    public static PositionSpec SpecOf(RunConfig config, LlamaConfig model)
    {
        var spec = model.PositionConfig.Resolve(PositionSpec.Parse(config.Model.Rope));
        return PositionMethods.Resolve(spec, model.Positions, Target(config));
    }

    /// <summary>What the run keeps for its life: a resumed one does not measure again, the answer might be another.</summary>
    public static AttentionChoice AttentionOf(RunConfig config, string? from, PositionSpec spec, LlamaConfig model, DeviceAndDtype compute)
    {
        var before = from is null ? null : TrainingState.Read(from).Settings.GetValueOrDefault(RunSettings.Attention);
        var asked = config.Model.Attention == AttentionChoice.Auto && before is not null ? before : config.Model.Attention;
        return AttentionChoice.Of(
            asked, PositionMethods.Create(spec, model.Positions, Target(config)), model, compute.Device, compute.Dtype,
            config.Training.PerDeviceTrainBatchSize, config.Data.CutoffLen!.Value);
    }

    /// <summary>The data, tokenized.</summary>
    public static TokenizedDocuments OpenDocuments(RunConfig config, CheckpointTokenizer tokenizer, CancellationToken stop)
    {
        var markers = DocumentMarkers.Of(tokenizer.Encode("a", addSpecial: false), tokenizer.Encode("a"));
        return TokenizedDocuments.Open(
            config.Data.Data, tokenizer, markers, config.Data.CacheDir, sentence => Log.Information("{Sentence:l}", sentence), stop: stop);
    }

    /// <summary>The run's settings, its length known from the data.</summary>
    public static TrainerSettings SettingsOf(RunConfig config, TrainingSequences sequences)
    {
        var training = config.Training;
        var accumulation = training.AccumulationSteps(sequences.Cutoff);
        var order = new StepOrder(sequences.Count, training.PerDeviceTrainBatchSize * accumulation, training.DataloaderDropLast);
        var total = order.TotalSteps(training.MaxSteps, training.NumTrainEpochs);
        var warmup = LearningRateSchedule.Warmup(training.WarmupSteps, training.WarmupRatio, total);
        var numbers = new AdamWSettings(training.AdamBeta1, training.AdamBeta2, training.AdamEpsilon, training.WeightDecay);
        return new TrainerSettings(
            training.Seed, total, new LearningRateSchedule(training.LrSchedulerType, training.LearningRate, warmup, total),
            new OptimizerSettings(training.Optimizer, numbers, training.OffloadOptimizer))
        {
            BatchSize = training.PerDeviceTrainBatchSize,
            AccumulationSteps = accumulation,
            DropLast = training.DataloaderDropLast,
            MaxGradientNorm = training.MaxGradNorm,
            Recompute = training.Recompute,
            OffloadInputs = training.OffloadInputs,
            TargetLength = config.Data.TargetLen,
        };
    }

    /// <summary>Differs when the tokens do; names and places of files do not matter.</summary>
    private static string DescribeData(TokenizedDocuments documents, CheckpointTokenizer tokenizer) =>
        $"{documents.Count} documents, {documents.Tokens} tokens, tokenizer {tokenizer.Fingerprint[..16]}";

    private static Dictionary<string, string> Machine(DeviceAndDtype compute) => new()
    {
        ["device"] = compute.DeviceName,
        ["threads"] = $"{torch.get_num_threads()}",
        ["libtorch"] = TorchLibrary.Load().Libtorch ?? "",
        ["attention_pieces"] = $"{BlockSize.For(compute.Device)}",
    };

    private static TrainingState StateFor(string from, IReadOnlyDictionary<string, string> settings)
    {
        var state = TrainingState.Read(from);
        if (RunSettings.Differences(state.Settings, settings) is { Count: > 0 } differences)
        {
            throw new UserException($"--resume {from}: the run was started with other settings; give the same or begin a new run:\n  {string.Join("\n  ", differences)}");
        }

        return state;
    }

    private static TrainableModel OpenModel(RunConfig config, HuggingFaceCheckpoint checkpoint, DeviceAndDtype compute, string? from)
    {
        // A checkpoint of all weights takes the base model's place; adapters go on top of it.
        var whole = config.Training.Method == TrainingMethod.Full;
        using var trained = whole && from is not null ? HuggingFaceCheckpoint.Open(from) : null;
        var model = OpenModel(config, checkpoint.Config, (trained ?? checkpoint).Weights(compute.Device, compute.Dtype), compute);
        if (!whole && from is not null)
        {
            model.LoadAdapters(from);
        }

        return model;
    }

    /// <summary>The model that the configuration trains, around the weights.</summary>
    internal static TrainableModel OpenModel(RunConfig config, LlamaConfig model, WeightSource weights, DeviceAndDtype compute) =>
        config.Training.Method == TrainingMethod.Full
            ? TrainableModel.Full(model, weights, compute.Dtype, compute.Device)
            : TrainableModel.Lora(
                model, weights, compute.Dtype, compute.Device, MemoryOutlook.AdaptersOf(config), config.Training.Seed, config.Lora.LoraplusLrRatio);

    private static LineBreaks? LineBreaksFor(RunConfig config, CheckpointTokenizer tokenizer, LlamaConfig model) =>
        config.Data.Positions.StartsWith("skip-align", StringComparison.Ordinal)
            ? new LineBreaks(model.VocabSize, id => tokenizer.TextOf(id))
            : null;
}

/// <summary>How a run ended.</summary>
/// <param name="Last">The folder saved last: the finished model, or the checkpoint to go on from.</param>
/// <param name="Finished">Which of the two it is.</param>
/// <param name="Step">Steps made.</param>
/// <param name="TotalSteps">Steps of the whole run.</param>
public sealed record FinetuneOutcome(string Last, bool Finished, long Step, long TotalSteps);
