using CutoffLen.Checkpoints.Lora;
using CutoffLen.Data;
using CutoffLen.Distributed;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.PositionIds;
using CutoffLen.Tests.Data;
using CutoffLen.Tests.Models;
using CutoffLen.Tokenization;
using CutoffLen.Training;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Training;

/// <summary>A corpus of digits, tiny models on it, and trainers for them.</summary>
internal sealed class TinyTraining : IDisposable
{
    private readonly TemporaryFolder folder = new();

    /// <summary>Documents that count in steps of 1, 3 or 7 modulo 10, of the given lengths.</summary>
    public TinyTraining(params int[] lengths)
    {
        var texts = lengths.Select((length, d) => string.Concat(Enumerable.Range(0, length).Select(t => (char)('0' + ((d + (t * (d % 3 == 0 ? 1 : d % 3 == 1 ? 3 : 7))) % 10)))));
        folder.Write("data.jsonl", string.Join('\n', texts.Select(text => $$"""{"text": "{{text}}"}""")));
        Documents = TokenizedDocuments.Open([folder["data.jsonl"]], new CharacterEncoder(), SpecialTokens.None, folder["cache"]);
    }

    public TokenizedDocuments Documents { get; }

    public string this[string name] => folder[name];

    public static LlamaConfig Config { get; } = TinyModels.Config();

    /// <summary>Random weights, always the same.</summary>
    public static TrainableModel Full(LlamaConfig? config = null, ScalarType dtype = ScalarType.Float32, ICollectives? ranks = null, ClexWeights? equation = null)
    {
        using var scope = NewDisposeScope();
        return TrainableModel.Full(config ?? Config, Source(dtype), dtype, CPU, ranks, equation);
    }

    public static TrainableModel Lora(
        AdapterConfig lora, LlamaConfig? config = null, double ratio = 1, ScalarType dtype = ScalarType.Float32, ICollectives? ranks = null)
    {
        using var scope = NewDisposeScope();
        return TrainableModel.Lora(config ?? Config, Source(dtype), dtype, CPU, lora, 5, ratio, ranks);
    }

    public static WeightSource Source(ScalarType dtype)
    {
        var generator = new Generator(3);
        return (_, shape) => (shape.Length == 1 ? ones(shape) : randn(shape, generator: generator) * 0.15).to(dtype);
    }

    public Trainer Trainer(
        TrainableModel model, TrainingConfig config, int cutoff = 32, Packing packing = Packing.Documents, string positions = "plain", string rope = "rope", int? targetLength = null)
    {
        var sequences = new TrainingSequences(Documents, cutoff, packing, config.Seed);
        return new(
            model, new PositionSetup(PositionMethods.Parse(rope), model.Network.Config.Positions, cutoff).Method, sequences,
            new TrainingSteps(config, sequences.Count, cutoff, model.Parameters.Ranks.Size), PositionIdSamplers.Parse(positions), targetLength: targetLength);
    }

    public static TrainingConfig Settings(int steps, int batch = 1, int accumulation = 1, double rate = 1e-3, int seed = 1) => new()
    {
        Seed = seed,
        MaxSteps = steps,
        LrSchedulerType = ScheduleShape.Cosine,
        LearningRate = rate,
        WarmupSteps = 2,
        WeightDecay = 0.1,
        PerDeviceTrainBatchSize = batch,
        GradientAccumulationSteps = accumulation,
    };

    public void Dispose()
    {
        Documents.Dispose();
        folder.Dispose();
    }
}
