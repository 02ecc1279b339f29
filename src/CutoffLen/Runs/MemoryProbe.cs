using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Data;
using CutoffLen.Hardware;
using CutoffLen.Memory;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.PositionIds;
using CutoffLen.Tokenization;
using CutoffLen.Training;
using static TorchSharp.torch;

namespace CutoffLen.Runs;

/// <summary>Makes the first steps of a run and measures their peak memory; nothing is kept.</summary>
public static class MemoryProbe
{
    private const int Steps = 2; // the second one finds the heap as the rest of the run does

    /// <summary>The peak, in bytes. Weights and data are the run's where they are there, else random.</summary>
    /// <param name="outlook">The run, planned for this machine.</param>
    /// <param name="stop">Stops it between steps.</param>
    /// <exception cref="UserException">The run needs more ranks than this process.</exception>
    public static long Run(MemoryOutlook outlook, CancellationToken stop = default)
    {
        var (config, model, positions, compute) = (outlook.Config, outlook.Model, outlook.Positions, outlook.Compute!);
        var peak = new PeakMemory(compute);
        var folder = Directory.CreateTempSubdirectory("cutoff-probe-");
        try
        {
            using var documents = OpenDocuments(config, model, folder.FullName, stop);
            var sequences = new TrainingSequences(documents, config.Data.CutoffLen!.Value, config.Data.Packing, config.Training.Seed);
            var steps = new TrainingSteps(config.Training with { MaxSteps = Steps }, sequences.Count, sequences.Cutoff);
            var attention = FinetunePlan.ChooseAttention(config, config.Model.Attention, positions, model, compute);
            using var trainable = OpenModel(config, model, positions, compute);
            using var trainer = new Trainer(
                trainable, positions.Layers, sequences, steps,
                PositionIdSamplers.Parse(config.Data.Positions), attention.Path, config.Data.TargetLen);
            for (var step = 0; step < Steps && !stop.IsCancellationRequested; step++)
            {
                trainer.TrainStep();
            }

            return peak.Bytes();
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static TokenizedDocuments OpenDocuments(RunConfig config, LlamaConfig model, string folder, CancellationToken stop)
    {
        if (config.Data.Data.Count > 0)
        {
            return FinetunePlan.OpenDocuments(config, CheckpointTokenizer.Open(config.Model.Model!, model.VocabSize), stop);
        }

        var rows = config.Training.PerDeviceTrainBatchSize * config.Training.AccumulationSteps(config.Data.CutoffLen!.Value);
        var file = Path.Combine(folder, "random.txt");
        File.WriteAllText(file, new string('x', checked((rows * config.Data.CutoffLen.Value) + 1)));
        return TokenizedDocuments.Open([file], new RandomTokens(model.VocabSize), SpecialTokens.None, folder, stop: stop);
    }

    private static TrainableModel OpenModel(RunConfig config, LlamaConfig model, PositionSetup positions, DeviceAndDtype compute)
    {
        if (config.Model.Model is { } folder && !HuggingFaceCheckpoint.IsConfigurationAlone(folder))
        {
            using var checkpoint = HuggingFaceCheckpoint.Open(folder);
            return FinetunePlan.LoadModel(config, model, checkpoint.Weights(compute.Device, compute.Dtype, model.Quantization), compute, FinetunePlan.EquationOf(positions));
        }

        using var scope = NewDisposeScope();
        return FinetunePlan.LoadModel(config, model, Random(model, compute), compute, FinetunePlan.EquationOf(positions));
    }

    private static WeightSource Random(LlamaConfig model, DeviceAndDtype compute)
    {
        WeightSource drawn = (_, shape) => shape.Length == 1
            ? ones(shape, compute.Dtype, compute.Device)
            : empty(shape, compute.Dtype, compute.Device).normal_(0, model.InitializerRange);
        return model.Quantization is null ? drawn : Nf4Weight.Source(drawn);
    }

    /// <summary>A random token for every letter.</summary>
    private sealed class RandomTokens(int vocabulary) : ITextEncoder
    {
        public int VocabularySize => vocabulary;

        public string Fingerprint => "random";

        public IReadOnlyList<int> Encode(string text)
        {
            var random = new System.Random(1);
            return [.. Enumerable.Range(0, text.Length).Select(_ => random.Next(vocabulary))];
        }
    }
}
