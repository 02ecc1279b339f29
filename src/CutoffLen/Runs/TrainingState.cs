using System.Text.Json;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using CutoffLen.Data;
using CutoffLen.Files;
using CutoffLen.Training;
using CutoffLen.Training.Optimizers;
using static TorchSharp.torch;

namespace CutoffLen.Runs;

/// <summary>
/// What a checkpoint has besides the model, so that training is resumed in the same bits: the optimizer's state, the
/// step and the settings. Random numbers and the order of the data follow from seed and step.
/// </summary>
/// <param name="Step">Optimizer steps made.</param>
/// <param name="Settings">Every key that decides the run, as text; a resumed run must have the same.</param>
/// <param name="Machine">What changes bits without being a setting (threads, block sizes, libtorch); noted, and compared.</param>
/// <param name="Trained">What was trained so far.</param>
public sealed record TrainingState(
    long Step, IReadOnlyDictionary<string, string> Settings, IReadOnlyDictionary<string, string> Machine, TrainedCounts Trained)
{
    private const string StateFile = "training_state.json";
    internal const string OptimizerFile = "optimizer.safetensors";
    private const string MasterName = "master";

    private static readonly JsonSerializerOptions Json = new(JsonSerializerOptions.Strict) { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    // Items of lists and dictionaries, which JsonSerializerOptions.Strict does not look at.
    private bool HasNoNull => Trained.Positions.All(bucket => bucket is not null) && Settings.Concat(Machine).All(setting => setting.Value is not null);

    /// <summary>Whether a folder has a state to resume from.</summary>
    public static bool ExistsIn(string folder) => File.Exists(Path.Combine(folder, StateFile));

    /// <summary>
    /// The files for a checkpoint folder: name, and what writes it to a path. Of several ranks one writes them, while the others
    /// call <see cref="GiveShards"/>.
    /// </summary>
    public IReadOnlyDictionary<string, Action<string>> Files(TrainableModel model, FlatOptimizer optimizer) => new Dictionary<string, Action<string>>
    {
        [StateFile] = path => File.WriteAllText(path, JsonSerializer.Serialize(this, Json) + "\n"),
        [OptimizerFile] = path => SafetensorsWriter.WriteInPlace(path, Tensors(model.Parameters, optimizer)),
    };

    /// <summary>Gives this rank's shards to the rank that writes <see cref="Files"/>.</summary>
    public static void GiveShards(TrainableModel model, FlatOptimizer optimizer) =>
        SafetensorsWriter.Write(Stream.Null, Tensors(model.Parameters, optimizer));

    /// <summary>Reads a checkpoint's state, without the tensors.</summary>
    /// <exception cref="UserException">The folder holds none, or it is damaged.</exception>
    public static TrainingState Read(string folder)
    {
        var path = Path.Combine(folder, StateFile);
        if (!File.Exists(path))
        {
            throw new UserException($"{folder}: holds no {StateFile}, so training cannot go on from it; give a folder checkpoint-N of a run");
        }

        try
        {
            return JsonSerializer.Deserialize<TrainingState>(JsonFile.ReadBytes(path, JsonFile.SmallFile), Json) is { } state && state.HasNoNull
                ? state
                : throw new UserException($"{path}: holds null where a value must be");
        }
        catch (JsonException fault)
        {
            throw new UserException($"{path}: {fault.Message}", fault);
        }
    }

    /// <summary>
    /// Restores the optimizer, with a master copy the weights too, the step and the counts. The trainer's model was loaded from
    /// the checkpoint. Each rank reads its own shard, whatever ranks wrote the file.
    /// </summary>
    /// <exception cref="UserException">The file does not fit the model and the optimizer.</exception>
    public void Restore(string folder, Trainer trainer)
    {
        var (optimizer, parameters) = (trainer.Optimizer, trainer.Model.Parameters);
        using var noGrad = no_grad();
        using var file = SafetensorsFile.Open(Path.Combine(folder, OptimizerFile));
        var stored = file.Tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.Shape, StringComparer.Ordinal);
        foreach (var (buffer, name, shard) in Shards(parameters, optimizer))
        {
            var shape = parameters.ShapeOf(name);
            if (!stored.Remove(Stored(buffer, name), out var found) || !found.AsSpan().SequenceEqual(shape))
            {
                throw new UserException($"{file.Path}: has no {JsonFile.Show(Stored(buffer, name))} of shape [{string.Join(", ", shape)}]: it belongs to another model or optimizer");
            }

            if (parameters.OwnPart(name) is { Count: > 0 } own)
            {
                using var scope = NewDisposeScope();
                var values = file.Read(Stored(buffer, name), ScalarType.Float32, shard.device).flatten();
                shard.narrow(0, own.InShard, own.Count).copy_(values.narrow(0, own.InParameter, own.Count));
            }
        }

        if (optimizer.OwnsMaster)
        {
            optimizer.WriteMaster();
        }

        optimizer.Steps = Step;
        trainer.Trained = Trained;
    }

    private static List<StoredTensor> Tensors(FlatParameters parameters, FlatOptimizer optimizer) =>
    [
        .. Shards(parameters, optimizer).Select(entry => new StoredTensor(
            Stored(entry.Buffer, entry.Parameter), parameters.ShapeOf(entry.Parameter), ScalarType.Float32,
            (at, count) => parameters.Collect(entry.Shard, entry.Parameter, at, count))),
    ];

    private static string Stored(string buffer, string parameter) => $"{buffer}.{parameter}";

    /// <summary>Every buffer of the optimizer for every parameter.</summary>
    private static IEnumerable<(string Buffer, string Parameter, Tensor Shard)> Shards(FlatParameters parameters, FlatOptimizer optimizer) =>
        (optimizer.OwnsMaster ? [(MasterName, optimizer.Master), .. optimizer.State] : optimizer.State)
            .SelectMany(buffer => parameters.Names.Select(name => (buffer.Item1, name, buffer.Item2)));
}
