using System.Security.Cryptography;
using System.Text;
using CutoffLen.Checkpoints.Gguf;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Hub;
using CutoffLen.Models.Llama;
using CutoffLen.Tokenization;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints;

/// <summary>
/// A folder that a model is loaded from: a checkpoint in Hugging Face's layout, or LoRA adapters in PEFT's, which loading
/// merges into the weights of their base checkpoint. Opening checks everything and reads no weights.
/// </summary>
public sealed class ModelFolder : IDisposable
{
    private readonly Lazy<CheckpointTokenizer> tokenizer;
    private readonly StoredAdapters? adapters;

    private ModelFolder(string folder, HuggingFaceCheckpoint checkpoint, StoredAdapters? adapters)
    {
        (Folder, Checkpoint, this.adapters) = (folder, checkpoint, adapters);
        tokenizer = new(() => CheckpointTokenizer.Open(TokenizerFolder, Config.VocabSize));
    }

    /// <summary>Where it is, as given.</summary>
    public string Folder { get; }

    /// <summary>The folder's own name; of a snapshot in the hub's cache the model's.</summary>
    public string Name => NameOf(Folder);

    /// <summary>The checkpoint with the weights: the folder itself, or the adapters' base.</summary>
    public HuggingFaceCheckpoint Checkpoint { get; }

    /// <summary>The adapters' settings; null in a plain checkpoint.</summary>
    public AdapterConfig? Adapters => adapters?.Config;

    /// <summary>The architecture; with adapters <see cref="StoredAdapters.Model"/>.</summary>
    public LlamaConfig Config => adapters?.Model ?? Checkpoint.Config;

    /// <summary>Whether there is a tokenizer, beside the adapters or the base.</summary>
    public bool HasTokenizer => CheckpointTokenizer.ExistsIn(TokenizerFolder);

    /// <summary>The tokenizer.</summary>
    /// <exception cref="UserException">There is none, or it is damaged.</exception>
    public CheckpointTokenizer Tokenizer => tokenizer.Value;

    /// <summary>
    /// A hash of the settings and of samples of the weights. A copy has the same hash; another model, or the same folder
    /// after training, has another.
    /// </summary>
    public string Identity
    {
        get
        {
            var folders = adapters is null ? [Folder] : new[] { Folder, Checkpoint.Folder };
            var facts = folders.SelectMany(folder => Settings(folder).Concat(Weights(folder)));
            return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', facts))).AsSpan(0, 8));
        }
    }

    private string TokenizerFolder => CheckpointTokenizer.ExistsIn(Folder) ? Folder : Checkpoint.Folder;

    /// <summary>The name of a folder of a model.</summary>
    public static string NameOf(string folder) => HubCache.Find(folder) is var (repository, _)
        ? repository.Name
        : Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));

    /// <summary>A folder as other files name it: what it was made of where it is in a cache (a GGUF file, a name on the hub), else its full path.</summary>
    public static string Portable(string folder) => GgufCache.FileOf(folder) ?? HubCache.Portable(folder);

    /// <summary>Opens a folder and checks it.</summary>
    /// <exception cref="UserException">All that is wrong with it, one line each.</exception>
    public static ModelFolder Open(string folder)
    {
        if (!AdapterCheckpoint.ExistsIn(folder))
        {
            return new ModelFolder(folder, HuggingFaceCheckpoint.Open(folder), null);
        }

        var checkpoint = HuggingFaceCheckpoint.Open(AdapterConfig.Read(folder).BaseIn(folder));
        try
        {
            return new ModelFolder(folder, checkpoint, StoredAdapters.Open(folder, checkpoint.Config));
        }
        catch (UserException)
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>Builds the model around the stored weights, adapters added into them.</summary>
    /// <param name="device">Where it shall be; null for the CPU.</param>
    /// <param name="dtype">Type of its weights; null for the stored one.</param>
    /// <param name="dense">Whether quantized weights are dequantized; with adapters they always are.</param>
    public LlamaForCausalLM Load(Device? device = null, ScalarType? dtype = null, bool dense = false)
    {
        var weights = Checkpoint.Weights(device, dtype, Config.Quantization);
        return adapters?.LoadMerged(weights)
            ?? (dense ? new LlamaForCausalLM(Config with { Quantization = null }, (name, shape) => weights(name, shape).Dense()) : new LlamaForCausalLM(Config, weights));
    }

    /// <summary>Saves the stored numbers, whatever dtype the model is used in, as a checkpoint: adapters added, and no weight quantized.</summary>
    /// <param name="folder">The new checkpoint's folder.</param>
    /// <param name="config">Its configuration.</param>
    /// <exception cref="UserException">The folder holds other files.</exception>
    public void SaveAs(string folder, LlamaConfig config)
    {
        using var stored = Load(dense: true);
        CheckpointWriter.Save(folder, config, stored.named_parameters().Select(p => (p.name, (Tensor)p.parameter)), source: Checkpoint.Folder);
    }

    /// <summary>Lets go of the files; loaded models stay valid.</summary>
    public void Dispose()
    {
        adapters?.Dispose();
        Checkpoint.Dispose();
    }

    private static IEnumerable<string> Settings(string folder) =>
        new[] { "config.json", AdapterConfig.FileName }.Select(name => Path.Combine(folder, name)).Where(File.Exists).Select(File.ReadAllText);

    private static IEnumerable<string> Weights(string folder) => Directory.GetFiles(folder, "*.safetensors").Concat(Directory.GetFiles(folder, GgufCache.WeightsFile)).Order(StringComparer.Ordinal)
        .Select(path => $"{Path.GetFileName(path)} {FileSample.HashOf(path)}");
}
