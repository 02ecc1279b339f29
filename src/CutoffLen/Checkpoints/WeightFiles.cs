using CutoffLen.Checkpoints.Gguf;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints;

/// <summary>
/// The weight files of a checkpoint folder as one set of tensors: a single model.safetensors, shards with an index, or a
/// model.gguf. Opening reads headers only.
/// </summary>
internal sealed class WeightFiles : IDisposable
{
    /// <summary>[D/2, width], where the code of CLEX checkpoints keeps it.</summary>
    public const string ClexUp = "model.clex_layer.proj_func.ode_up_proj";

    /// <summary>[width, D/2].</summary>
    public const string ClexDown = "model.clex_layer.proj_func.ode_down_proj";

    /// <summary>[L, H, R/2] int32, for DPE: <see cref="LlamaConfig.PairRanks"/>. No other program has a name for it.</summary>
    public const string PairRanks = "model.dpe.pair_ranks";

    private const int MostListed = 12;

    private static readonly string[] Pickles = [".bin", ".pth", ".pt"];
    private static readonly string[] Unread = ["rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached", "model.clex_layer.inv_freq", "._extra_state"];

    private readonly List<ITensorFile> files = [];
    private readonly Dictionary<string, (ITensorFile File, SafetensorsEntry Entry)> tensors = new(StringComparer.Ordinal);

    private readonly QuantizedTensors quantized;
    private readonly bool isTied;

    private WeightFiles(bool isTied) => (quantized, this.isTied) = (new QuantizedTensors(tensors), isTied);

    /// <summary>Every tensor, by name.</summary>
    public IReadOnlyDictionary<string, (ITensorFile File, SafetensorsEntry Entry)> Tensors => tensors;

    /// <summary>How many files there are.</summary>
    public int FileCount => files.Count;

    /// <summary>The types of <see cref="GgufWeights.Types"/>; none for safetensors.</summary>
    public IReadOnlyList<string> GgufTypes => files is [GgufWeights file] ? file.Types : [];

    /// <summary>Bytes of all tensors.</summary>
    public long Bytes => tensors.Values.Sum(tensor => tensor.Entry.Bytes);

    /// <summary>Opens the folder's files.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="config">The network.</param>
    /// <param name="problems">What is wrong with the files is added here.</param>
    public static WeightFiles Open(string folder, LlamaConfig config, List<string> problems)
    {
        var weights = new WeightFiles(config.TieWordEmbeddings);
        var single = Path.Combine(folder, ShardIndex.SingleFile);
        var index = Path.Combine(folder, ShardIndex.FileName);
        try
        {
            if (File.Exists(single))
            {
                weights.Add(single, SafetensorsFile.Open, problems);
            }
            else if (File.Exists(index))
            {
                weights.AddShards(folder, index, problems);
            }
            else if (new FileInfo(Path.Combine(folder, GgufCache.WeightsFile)) is { Exists: true } gguf)
            {
                weights.Add(gguf.ResolveLinkTarget(returnFinalTarget: false)?.FullName ?? gguf.FullName, path => GgufWeights.Open(path, config), problems);
            }
            else
            {
                problems.Add(NoWeights(folder));
            }
        }
        catch (UserException fault)
        {
            problems.Add(fault.Message);
        }

        return weights;
    }

    private void AddShards(string folder, string index, List<string> problems)
    {
        var placed = ShardIndex.Read(index);
        foreach (var name in placed.Values.Distinct().Order(StringComparer.Ordinal))
        {
            var path = Path.Combine(folder, name);
            if (File.Exists(path))
            {
                Add(path, SafetensorsFile.Open, problems);
            }
            else
            {
                problems.Add($"{index}: names {JsonFile.Show(name)}, which is not in the folder; is the download complete?");
            }
        }

        // As in transformers, an index may name a tensor that nobody needs and no file holds, and the other way round.
        foreach (var (tensor, name) in placed.Where(pair => !IsNeedless(pair.Key)))
        {
            if (tensors.TryGetValue(tensor, out var found) ? Path.GetFileName(found.File.Path) != name : files.Any(file => Path.GetFileName(file.Path) == name))
            {
                problems.Add($"{index}: places {JsonFile.Show(tensor)} in {JsonFile.Show(name)}, which does not hold it");
            }
        }

        foreach (var (name, (file, _)) in tensors)
        {
            if (!placed.ContainsKey(name) && !IsNeedless(name))
            {
                problems.Add($"{file.Path}: holds {JsonFile.Show(name)}, which {ShardIndex.FileName} does not name");
            }
        }
    }

    private void Add(string path, Func<string, ITensorFile> open, List<string> problems)
    {
        try
        {
            var file = open(path);
            files.Add(file);
            foreach (var entry in file.Tensors)
            {
                if (!tensors.TryAdd(entry.Name, (file, entry)) && !IsUnread(entry.Name))
                {
                    problems.Add($"{path}: tensor {JsonFile.Show(entry.Name)} is also in {Path.GetFileName(tensors[entry.Name].File.Path)}");
                }
            }
        }
        catch (UserException fault)
        {
            problems.Add(fault.Message);
        }
    }

    /// <summary>Whether a folder holds weights, or a part of them, in whatever format.</summary>
    public static bool AreIn(string folder) =>
        Directory.EnumerateFiles(folder).Any(path => Pickles.Append(GgufFile.Extension).Append(".safetensors").Contains(Path.GetExtension(path)) || path.EndsWith(".index.json", StringComparison.Ordinal));

    private static string NoWeights(string folder)
    {
        var names = Directory.EnumerateFiles(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal).ToList();
        var expected = $"{folder}: has neither {ShardIndex.SingleFile} nor {ShardIndex.FileName}";
        if (names.FirstOrDefault(name => Pickles.Contains(Path.GetExtension(name))) is { } pickle)
        {
            return $"{expected}. " + PickledWeights.Advice(
                pickle,
                "from transformers import AutoModelForCausalLM as M; "
                + $"M.from_pretrained('{folder}', torch_dtype='auto').save_pretrained('{folder}', safe_serialization=True)");
        }

        return names.FirstOrDefault(name => Path.GetExtension(name) == GgufFile.Extension) is { } gguf
            ? $"{expected}. {gguf} is llama.cpp's format; give it by itself, --model {Path.Combine(folder, gguf)}"
            : $"{expected}; it holds {(names.Count == 0 ? "nothing" : string.Join(", ", names.Take(MostListed)))}";
    }

    /// <summary>
    /// Compares with the configuration. Every parameter must be there in its shape and as a floating point type, or quantized as
    /// the configuration says. No other tensor may be, except those that old checkpoints store and the network computes itself.
    /// </summary>
    public void Compare(LlamaConfig config, string folder, List<string> problems)
    {
        // Checked before the expected names are listed, because a damaged count of layers may be in the millions.
        if (config.NumHiddenLayers > tensors.Count)
        {
            problems.Add($"{folder}: config.json says {config.NumHiddenLayers} layers, but the files hold only {tensors.Count} tensors");
            return;
        }

        var expected = LlamaParameters.Of(config).ToDictionary(parameter => parameter.Name, parameter => parameter.Shape, StringComparer.Ordinal);
        var inFourBits = expected.Where(pair => config.Quantization is not null && LlamaParameters.IsProjection(pair.Key, pair.Value) && quantized.Contains(pair.Key))
            .Select(pair => pair.Key).ToHashSet(StringComparer.Ordinal);
        var beside = inFourBits.SelectMany(QuantizedTensors.Beside).ToHashSet(StringComparer.Ordinal);
        var missing = expected.Keys.Where(name => !tensors.ContainsKey(name)).ToList();
        var unexpected = tensors.Keys.Where(name => !expected.ContainsKey(name) && !beside.Contains(name) && !IsNeedless(name) && name is not (ClexUp or ClexDown or PairRanks)).ToList();
        List(problems, $"{folder}: missing tensors", missing);
        List(problems, $"{folder}: unexpected tensors", unexpected);
        if (missing.Contains(LlamaParameters.Head))
        {
            problems.Add($"{folder}: if the head shares the embedding's weights, config.json needs \"tie_word_embeddings\": true");
        }

        foreach (var (name, shape) in expected)
        {
            if (problems.Count < 4 * MostListed && (inFourBits.Contains(name) ? quantized.Fault(name, shape) : Fault(name, shape)) is { } fault)
            {
                problems.Add(fault);
            }
        }

        if (config.Quantization is not null && inFourBits.Count == 0)
        {
            problems.Add($"{folder}: config.json says that weights are in 4 bits, but the files hold none; remove \"quantization_config\" if they never were");
        }
    }

    /// <summary>Whether weights may have this type.</summary>
    public static bool IsWeight(ScalarType dtype) => dtype is ScalarType.BFloat16 or ScalarType.Float16 or ScalarType.Float32 or ScalarType.Float64;

    private string? Fault(string name, long[] shape) =>
        tensors.TryGetValue(name, out var found) && Describe(found.Entry, shape) is { } fault ? $"{found.File.Path}: {JsonFile.Show(name)} {fault}" : null;

    private static string? Describe(SafetensorsEntry entry, long[] shape) =>
        !entry.Shape.AsSpan().SequenceEqual(shape)
            ? $"has shape [{string.Join(", ", entry.Shape)}], but config.json asks for [{string.Join(", ", shape)}]"
            : !IsWeight(entry.Dtype)
                ? $"is {SafetensorsHeader.Describe(entry.Dtype).Name}; weights are BF16, F16 or F32"
                : null;

    private static void List(List<string> problems, string what, List<string> names)
    {
        if (names.Count > 0)
        {
            var more = names.Count > MostListed ? $" and {names.Count - MostListed} more" : "";
            problems.Add($"{what}: {string.Join(", ", names.Take(MostListed).Select(JsonFile.Show))}{more}");
        }
    }

    /// <summary>The weights of CLEX's equation; null in a checkpoint that was not trained with it.</summary>
    /// <exception cref="UserException">One of the two tensors is missing, or their shapes do not go together.</exception>
    public ClexWeights? Clex()
    {
        if (!tensors.TryGetValue(ClexUp, out var up) | !tensors.TryGetValue(ClexDown, out var down) && (up.File ?? down.File) is { } file)
        {
            throw new UserException($"{file.Path}: {ClexUp} and {ClexDown} belong together, but one is missing");
        }

        if (up.File is null)
        {
            return null;
        }

        using var scope = NewDisposeScope();
        float[] Floats(ITensorFile from, string name) => from.Read(name, ScalarType.Float32).data<float>().ToArray();
        return up.Entry.Shape.Length == 2 && up.Entry.Shape.Reverse().SequenceEqual(down.Entry.Shape)
            ? new ClexWeights(Floats(up.File, ClexUp), Floats(down.File, ClexDown), (int)up.Entry.Shape[1])
            : throw new UserException($"{up.File.Path}: {ClexUp} [{string.Join(", ", up.Entry.Shape)}] and {ClexDown} [{string.Join(", ", down.Entry.Shape)}] must be each other's transpose in shape");
    }

    /// <summary>The order of the pairs of each query head; null in a checkpoint without.</summary>
    /// <exception cref="UserException">It has another shape than the model, or is no order.</exception>
    public int[]? OrderOfPairs(LlamaConfig config)
    {
        if (!tensors.TryGetValue(PairRanks, out var found))
        {
            return null;
        }

        using var scope = NewDisposeScope();
        var (pairs, heads) = (config.RotaryDim / 2, config.NumAttentionHeads);
        long[] shape = [config.NumHiddenLayers, heads, pairs];
        int[] ranks = found.Entry.Shape.AsSpan().SequenceEqual(shape) && found.Entry.Dtype == ScalarType.Int32 ? found.File.Read(PairRanks).data<int>().ToArray() : [];
        return ranks.Length > 0 && ranks.Chunk(pairs).All(head => head.Order().SequenceEqual(Enumerable.Range(0, pairs)))
            ? ranks
            : throw new UserException($"{found.File.Path}: {PairRanks} must be I32 of shape [{string.Join(", ", shape)}], each head with the numbers 0 to {pairs - 1}");
    }

    /// <summary>
    /// Tensors that the network does not need: those that are never read, and the head of a model with tied embeddings, which
    /// <see cref="CheckTiedHead"/> checks.
    /// </summary>
    private bool IsNeedless(string name) => IsUnread(name) || (isTied && name == LlamaParameters.Head);

    /// <summary>
    /// Rotary frequencies and tables, which old checkpoints stored and config.json determines (transformers ignores them since
    /// 4.31), the state of TransformerEngine's FP8 layers, and the value head that TRL trains beside the network.
    /// </summary>
    private static bool IsUnread(string name) =>
        Unread.Any(end => name.EndsWith(end, StringComparison.Ordinal)) || name.StartsWith("v_head.", StringComparison.Ordinal);

    /// <summary>A stored head that differs from the embedding it is tied to is an error.</summary>
    public void CheckTiedHead()
    {
        if (!isTied || !tensors.TryGetValue(LlamaParameters.Head, out var head))
        {
            return;
        }

        var (file, embedding) = tensors[LlamaParameters.Embedding];
        using var scope = NewDisposeScope();
        if (!head.Entry.Shape.AsSpan().SequenceEqual(embedding.Shape)
            || !file.Read(embedding.Name).eq(head.File.Read(LlamaParameters.Head, embedding.Dtype)).all().item<bool>())
        {
            throw new UserException(
                $"{head.File.Path}: lm_head.weight differs from model.embed_tokens.weight, but config.json ties them "
                + "(\"tie_word_embeddings\"); set it to false or remove the tensor");
        }
    }

    /// <summary>
    /// Hands out each parameter in the wanted dtype, on the wanted device; models from two sources share no memory. What is stored in
    /// 4 bits stays so.
    /// </summary>
    /// <param name="dtype">Of the weights.</param>
    /// <param name="device">Where they shall be.</param>
    /// <param name="ownMaps">Whether each weight is mapped by itself, so that the pages that were read of it are let go with it.</param>
    public WeightSource Source(ScalarType dtype, Device device, bool ownMaps)
    {
        files.ForEach(file => file.ForgetMaps());
        return (name, shape) =>
        {
            if (quantized.Contains(name))
            {
                return quantized.Read(name, shape, dtype, device);
            }

            var file = tensors[name].File;
            if (ownMaps)
            {
                file.ForgetMaps();
            }

            return file.Read(name, dtype, device);
        };
    }

    /// <summary>Lets go of the files.</summary>
    public void Dispose() => files.ForEach(file => file.Dispose());
}
