using CutoffLen.Common;

namespace CutoffLen.Configuration;

/// <summary>A configuration with every key decided.</summary>
/// <param name="Config">The values.</param>
/// <param name="Given">The keys that the user gave; the rest are defaults.</param>
/// <param name="Notes">Sentences for the user: other names that were read as keys.</param>
public sealed record ResolvedConfig(RunConfig Config, IReadOnlySet<string> Given, IReadOnlyList<string> Notes);

/// <summary>An option of the command line that stands for a key.</summary>
/// <param name="Option">As the user writes it: <c>--cutoff</c>.</param>
/// <param name="Key">The key.</param>
/// <param name="Text">What was given; lists by commas.</param>
public sealed record ConfigOption(string Option, string Key, string Text);

/// <summary>
/// Decides the configuration of a run: defaults, over them the file, over it the options of the command line, over them
/// <c>--set key=value</c>.
/// </summary>
public static class RunConfigReader
{
    // Keys of other programs whose meaning has another form here.
    private static readonly Dictionary<string, string> Elsewhere = new()
    {
        ["gradient_checkpointing"] = "recompute: layers",
        ["bf16"] = "dtype: bf16",
        ["fp16"] = "dtype: bf16",
        ["rope_scaling"] = "rope: yarn:factor=4",
        ["sample_packing"] = "packing: documents",
        ["train_on_inputs"] = "completion_only_loss: false",
        ["train_on_prompt"] = "completion_only_loss: false",
        ["resume_from_checkpoint"] = "--resume auto on the command line",
    };

    /// <summary>Resolves a configuration.</summary>
    /// <param name="file">A YAML file, or null.</param>
    /// <param name="options">What options of the command line gave.</param>
    /// <param name="sets">Texts <c>key=value</c> of <c>--set</c>; lists by commas, in brackets or not.</param>
    /// <exception cref="UserException">Everything that is wrong, a line each.</exception>
    public static ResolvedConfig Resolve(
        string? file = null, IEnumerable<ConfigOption>? options = null, IEnumerable<string>? sets = null)
    {
        var problems = new List<string>();
        var notes = new List<string>();
        var config = new RunConfig();
        var given = new HashSet<string>();
        IEnumerable<IReadOnlyList<ConfigSetting>> layers =
        [
            file is null ? [] : ConfigFile.Read(file, problems),
            [.. (options ?? []).Select(given => FromCommandLine(given.Key, given.Text, $"{given.Option} {given.Text}"))],
            [.. (sets ?? []).SelectMany(set => FromSet(set, problems))],
        ];
        foreach (var layer in layers)
        {
            Apply(layer, config, given, problems, notes);
        }

        problems.AddRange(problems.Count == 0 ? RunConfigCheck.Problems(config) : []);
        return problems.Count == 0 ? new ResolvedConfig(config, given, notes) : throw new UserException(string.Join('\n', problems));
    }

    private static void Apply(
        IReadOnlyList<ConfigSetting> layer, RunConfig config, HashSet<string> given, List<string> problems, List<string> notes)
    {
        var first = new Dictionary<ConfigKey, ConfigSetting>();
        foreach (var setting in layer)
        {
            if (ConfigKeys.Find(setting.Name) is not { } key)
            {
                problems.Add($"{setting.Place}: unknown key '{setting.Name}'{Instead(setting.Name)}");
            }
            else if (!first.TryAdd(key, setting))
            {
                problems.Add($"{setting.Place}: {setting.Name} is given twice; first as {first[key].Name} at {first[key].Place}");
            }
            else
            {
                Set(config, key, setting, problems, notes);
                given.Add(key.Name);
            }
        }
    }

    private static void Set(RunConfig config, ConfigKey key, ConfigSetting setting, List<string> problems, List<string> notes)
    {
        if (setting.Name.Replace('-', '_') != key.Name)
        {
            notes.Add($"{setting.Place}: {setting.Name} is read as {key.Name}");
        }

        try
        {
            key.Set(config, key.Parse(setting.Text));
        }
        catch (FormatException fault)
        {
            problems.Add($"{setting.Place}: {setting.Name}: {fault.Message}");
        }
    }

    private static string Instead(string name) => Elsewhere.TryGetValue(name, out var instead)
        ? $"; here it is {instead}"
        : Spelling.Suggest(name.ToLowerInvariant().Replace('-', '_'), ConfigKeys.Names);

    private static IEnumerable<ConfigSetting> FromSet(string set, List<string> problems)
    {
        var pair = set.Split('=', 2);
        if (pair.Length == 2)
        {
            // A list may also be written as in YAML. A regular expression that begins and ends with brackets has others between.
            var isYaml = ConfigKeys.Find(pair[0].Trim())?.IsList == true && pair[1] is ['[', .. var within, ']'] && within.AsSpan().IndexOfAny('[', ']') < 0;
            return [FromCommandLine(pair[0].Trim(), isYaml ? pair[1][1..^1].Trim() : pair[1], $"--set {set}")];
        }

        problems.Add($"--set {set}: write key=value");
        return [];
    }

    /// <summary>Texts of the command line have no list syntax: where the key is a list, commas part its items.</summary>
    private static ConfigSetting FromCommandLine(string name, string text, string place)
    {
        var list = ConfigKeys.Find(name)?.IsList == true;
        var isNull = text is "null" or "~" || (text.Length == 0 && !list);
        return new ConfigSetting(name, isNull ? ConfigText.Null : list ? Items(text) : ConfigText.Of(text), place);
    }

    private static ConfigText Items(string text) =>
        ConfigText.List(text.Length == 0 ? [] : text.Split(',', StringSplitOptions.TrimEntries).Select(ConfigText.Of));
}
