using System.Diagnostics;
using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Hub;
using CutoffLen.Tokenization;
using Microsoft.Extensions.FileSystemGlobbing;
using Serilog;

namespace CutoffLen.Runs;

/// <summary>
/// Finds models and data that are named as on the hub, <c>org/name[@revision]</c> and <c>hf:org/name/path[@revision]</c>: in the
/// cache, else downloaded into it. A path that exists is taken as it is. What the cache has is not compared with the hub.
/// </summary>
/// <param name="settings">Hub and cache; null for those of the environment variables.</param>
/// <param name="display">Shows downloads.</param>
/// <param name="stop">Ends a download; the next one goes on from there.</param>
public sealed class HubFiles(HubSettings? settings = null, IRunDisplay? display = null, CancellationToken stop = default)
{
    private static readonly string[] SettingFiles =
    [
        "config.json", "generation_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", AdapterConfig.FileName,
    ];

    private readonly HubSettings settings = settings ?? HubSettings.FromEnvironment();

    /// <summary>The folder of a model.</summary>
    /// <param name="model">A folder, a GGUF file, which becomes a folder in the user's cache, or a name on the hub. Any other text is given back.</param>
    /// <param name="weights">Whether weights are needed; else settings and tokenizer are enough.</param>
    /// <param name="withBase">Whether adapters need the base model that they name too, where weights are needed.</param>
    /// <exception cref="UserException">There is no such folder, and the hub or the cache does not give the name.</exception>
    public string Model(string model, bool weights = true, bool withBase = true)
    {
        var folder = GgufImport.IsOne(model) ? GgufImport.Folder(model)
            : Path.Exists(model) || HubRepository.ParseModel(model) is not { } repository ? model
            : Named($"{model}: there is no such folder here; as a name on the hub", () => Snapshot(repository, weights));
        if (weights && withBase && AdapterCheckpoint.ExistsIn(folder) && AdapterConfig.Read(folder).BaseModel is { Length: > 0 } baseModel)
        {
            Named($"{AdapterConfig.PathIn(folder)}: the adapters' base model", () => Model(baseModel, withBase: false));
        }

        return folder;
    }

    /// <summary>The files of data.</summary>
    /// <param name="data">A path, or a name on the hub, in which <c>*</c> stands for any part of a file's name.</param>
    /// <exception cref="UserException">The hub or the cache does not have it.</exception>
    public IReadOnlyList<string> Data(string data)
    {
        if (Path.Exists(data) || !HubRepository.IsData(data))
        {
            return [data];
        }

        return HubRepository.ParseData(data) is var (repository, file)
            ? Named($"{data}: there is no such file here; as a name on the hub", () => DataFiles(repository, file))
            : throw new UserException($"{data}: not a file on the hub; write hf:org/name/path/to/file.parquet[@revision]");
    }

    /// <summary>A configuration whose model and data are on this machine.</summary>
    /// <param name="config">With paths or names.</param>
    /// <param name="settingsOnly">Whether no weights and no data are needed.</param>
    /// <exception cref="UserException">See <see cref="Model"/> and <see cref="Data"/>.</exception>
    public RunConfig Localized(RunConfig config, bool settingsOnly = false) => config with
    {
        Model = config.Model with { Model = config.Model.Model is { } model ? Model(model, weights: !settingsOnly) : null },
        Data = settingsOnly ? config.Data : config.Data with { Data = [.. config.Data.Data.SelectMany(Data)] },
        Evaluation = settingsOnly ? config.Evaluation : config.Evaluation with { EvalData = [.. config.Evaluation.EvalData.SelectMany(Data)] },
    };

    private static T Named<T>(string given, Func<T> look)
    {
        try
        {
            return look();
        }
        catch (UserException fault)
        {
            throw new UserException($"{given}: {fault.Message}", fault);
        }
    }

    private string Snapshot(HubRepository repository, bool weights)
    {
        var cache = new HubCache(settings.CacheFolder, repository);
        // Whether a repository without a tokenizer has none, only the hub knows.
        if (cache.Snapshot is { } cached && HasSettings(cached) && (!weights || HasWeights(cached)) && (settings.IsOffline || CheckpointTokenizer.ExistsIn(cached)))
        {
            Log.Information("{Repository:l} is {Folder:l}", repository.ToString(), cached);
            return cached;
        }

        return Online(repository, (client, listing) =>
        {
            if (!listing.Files.Any(IsSetting))
            {
                throw new UserException($"{repository} has no config.json and no tokenizer: it is no model in Hugging Face's layout");
            }

            Download(client, cache, repository, listing, listing.Files.Where(IsSetting).Concat(weights && !listing.Files.Contains(ShardIndex.SingleFile) ? listing.Files.Where(IsIndex) : []));
            var folder = cache.SnapshotOf(listing.Commit);
            if (weights)
            {
                Download(client, cache, repository, listing, Weights(repository, listing.Files, folder));
            }

            cache.WriteReference(listing.Commit, stop);
            return folder;
        });
    }

    private IReadOnlyList<string> DataFiles(HubRepository repository, string file)
    {
        var cache = new HubCache(settings.CacheFolder, repository);
        if (!file.Contains('*') && cache.Snapshot is { } cached && Path.Combine(cached, file) is var known && File.Exists(known))
        {
            return [known];
        }

        return Online<IReadOnlyList<string>>(repository, (client, listing) =>
        {
            var wanted = new Matcher(StringComparison.Ordinal).AddInclude(file).Match(listing.Files).Files.Select(match => match.Path).Order(StringComparer.Ordinal).ToList();
            if (wanted.Count == 0)
            {
                throw new UserException($"{repository} has no file {file}{Spelling.Suggest(file, listing.Files)}");
            }

            Download(client, cache, repository, listing, wanted);
            cache.WriteReference(listing.Commit, stop);
            return [.. wanted.Select(name => Path.Combine(cache.SnapshotOf(listing.Commit), name))];
        });
    }

    private T Online<T>(HubRepository repository, Func<HubClient, HubListing, T> work)
    {
        if (settings.IsOffline)
        {
            throw new UserException($"HF_HUB_OFFLINE is set, and the cache {settings.CacheFolder} does not have all of {repository}");
        }

        using var client = new HubClient(settings);
        return work(client, client.List(repository, stop).GetAwaiter().GetResult());
    }

    private void Download(HubClient client, HubCache cache, HubRepository repository, HubListing listing, IEnumerable<string> files)
    {
        var download = HubDownload.Prepare(client, cache, repository, listing.Commit, files, stop).GetAwaiter().GetResult();
        if (download.Count > 0)
        {
            (display ?? RunProgress.None).Show($"download {repository}, MB", download.Bytes / 1e6, steps =>
            {
                download.Run(new Megabytes(steps, download.Count), stop).GetAwaiter().GetResult();
                return true;
            });
        }
    }

    private static bool IsSetting(string file) =>
        SettingFiles.Contains(file) || (!file.Contains('/') && (file.StartsWith("tokenizer", StringComparison.Ordinal) || file.EndsWith(".model", StringComparison.Ordinal)));

    private static bool IsIndex(string file) => file == ShardIndex.FileName;

    private static bool HasSettings(string folder) => File.Exists(Path.Combine(folder, "config.json")) || AdapterCheckpoint.ExistsIn(folder);

    private static bool HasWeights(string folder)
    {
        var files = Directory.GetFiles(folder).Where(File.Exists).Select(Path.GetFileName).OfType<string>().ToList(); // links that lead somewhere
        return AdapterCheckpoint.ExistsIn(folder) ? files.Contains(AdapterFile.FileName)
            : files.Contains(ShardIndex.SingleFile) || (files.Contains(ShardIndex.FileName) && Shards(folder).All(files.Contains));
    }

    private static IEnumerable<string> Shards(string folder) => ShardIndex.Read(Path.Combine(folder, ShardIndex.FileName)).Values.Distinct();

    /// <summary>The safetensors files that loading would read.</summary>
    private static IEnumerable<string> Weights(HubRepository repository, IReadOnlyList<string> files, string folder)
    {
        var single = files.Contains(AdapterConfig.FileName) ? AdapterFile.FileName : ShardIndex.SingleFile;
        return files.Contains(single) ? [single]
            : files.Any(IsIndex) ? Shards(folder)
            : throw new UserException(
                $"{repository} has no {single}"
                + (files.FirstOrDefault(file => Path.GetExtension(file) is ".bin" or ".pth" or ".pt") is { } pickle
                    ? $", only pickled weights ({pickle}), which can run code when opened and are not read; its page may offer a revision with safetensors, such as {repository.Name}@refs/pr/1"
                    : ""));
    }

    /// <summary>Bytes as megabytes, with the speed.</summary>
    private sealed class Megabytes(IProgress<ProgressStep> steps, int files) : IProgress<long>
    {
        private readonly Stopwatch watch = Stopwatch.StartNew();
        private long first = -1;

        public void Report(long value)
        {
            lock (watch)
            {
                first = first < 0 ? value : first; // what an earlier download left
                var speed = (value - first) / 1e6 / Math.Max(1e-3, watch.Elapsed.TotalSeconds);
                steps.Report(new ProgressStep(value / 1e6, FormattableString.Invariant($"{files} file{(files == 1 ? "" : "s")}, {speed:0.0} MB/s")));
            }
        }
    }
}
