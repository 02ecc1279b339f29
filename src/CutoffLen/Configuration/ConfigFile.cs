using System.Text;
using CutoffLen.Common;
using CutoffLen.Files;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace CutoffLen.Configuration;

/// <summary>A key as somebody wrote it, with the place to name when it is wrong.</summary>
/// <param name="Name">The name as written.</param>
/// <param name="Text">What was written for it.</param>
/// <param name="Place">File and line, or the option.</param>
internal sealed record ConfigSetting(string Name, ConfigText Text, string Place);

/// <summary>
/// Reads a YAML file of flat keys with texts or lists, whose items are texts or flat mappings of texts. It walks the parser's
/// events and builds nothing from anchors, tags or deeper nesting, so that no file is a bomb. YamlDotNet's representation model would stop at a key given twice,
/// resolve aliases without a word, and recurse as deep as the file.
/// </summary>
internal sealed class ConfigFile
{
    private const int LargestFile = 1 << 20;
    private const int DeepestNesting = 16;

    private readonly string path;
    private readonly List<ConfigSetting> settings = [];
    private readonly List<string> problems;

    private ConfigFile(string path, List<string> problems) => (this.path, this.problems) = (path, problems);

    /// <summary>The settings in the file's order; what is wrong is added to the problems.</summary>
    /// <exception cref="UserException">The file cannot be read.</exception>
    public static IReadOnlyList<ConfigSetting> Read(string path, List<string> problems)
    {
        var file = new ConfigFile(path, problems);
        try
        {
            if (new FileInfo(path) is { Exists: true, Length: > LargestFile } large)
            {
                throw new UserException($"{path}: {large.Length} bytes are too large for a configuration");
            }

            using var reader = new StreamReader(path, StrictUtf8.Encoding);
            var parser = new Parser(reader);
            try
            {
                file.ReadDocument(parser);
            }
            catch (InvalidOperationException)
            {
                // YamlDotNet 18 throws it for "key: value" in a list without its ']'.
                file.Problem(parser.Current, "not YAML from here on; is a ']', '}' or quote missing?");
            }
        }
        catch (YamlException fault)
        {
            problems.Add($"{path} line {fault.Start.Line}, column {fault.Start.Column}: not YAML: {fault.Message.Split("): ")[^1]}");
        }
        catch (DecoderFallbackException fault)
        {
            using var stream = File.OpenRead(path);
            throw new UserException(StrictUtf8.DescribeFault(path, stream), fault);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: cannot be read: {fault.Message}", fault);
        }

        return file.settings;
    }

    private void ReadDocument(Parser parser)
    {
        parser.Consume<StreamStart>();
        if (!parser.TryConsume<DocumentStart>(out _))
        {
            return; // an empty file sets nothing
        }

        if (parser.TryConsume<MappingStart>(out _))
        {
            while (!parser.TryConsume<MappingEnd>(out _))
            {
                ReadSetting(parser, settings);
            }
        }
        else if (!IsNull(parser.Current))
        {
            Problem(parser.Current, "a configuration is lines of 'key: value'");
            return;
        }
        else
        {
            parser.MoveNext();
        }

        parser.Consume<DocumentEnd>();
        if (parser.TryConsume<DocumentStart>(out var second))
        {
            Problem(second, "a configuration is one YAML document");
        }
    }

    /// <summary>A key with its value. Within an item of a list that is a text.</summary>
    private void ReadSetting(Parser parser, List<ConfigSetting> into, bool inList = false)
    {
        if (!parser.TryConsume<Scalar>(out var key))
        {
            Problem(parser.Current, "a key must be a word");
            Skip(parser);
            Skip(parser);
            return;
        }

        var place = $"{path} line {key.Start.Line}";
        if (parser.Current is NodeEvent { Tag.IsEmpty: false } tagged)
        {
            Problem(tagged, $"{key.Value}: the tag {tagged.Tag} is not supported; write the value");
            Skip(parser);
        }
        else if (parser.TryConsume<Scalar>(out var value))
        {
            into.Add(new(key.Value, IsNull(value) ? ConfigText.Null : ConfigText.Of(value.Value), place));
        }
        else if (parser.Current is SequenceStart && !inList)
        {
            ReadList(parser, key.Value, place);
        }
        else
        {
            Problem(parser.Current, parser.Current is AnchorAlias
                ? $"{key.Value}: anchors and aliases are not supported; write the value"
                : inList ? $"{key.Value}: must be a text or a number within an item of a list"
                : $"{key.Value}: holds a mapping, but keys are flat; write {Flat(key.Value)}: value");
            Skip(parser);
        }
    }

    private void ReadList(Parser parser, string key, string place)
    {
        parser.Consume<SequenceStart>();
        var items = new List<ConfigText>();
        var whole = true;
        while (!parser.TryConsume<SequenceEnd>(out _))
        {
            if (parser.TryConsume<Scalar>(out var item) && !IsNull(item) && item.Tag.IsEmpty)
            {
                items.Add(ConfigText.Of(item.Value));
                continue;
            }

            if (item is null && parser.Current is MappingStart { Tag.IsEmpty: true })
            {
                var before = problems.Count;
                items.Add(ReadMapping(parser));
                whole &= problems.Count == before;
                continue;
            }

            Problem(item ?? parser.Current, $"{key}: the items of a list must be texts or numbers");
            whole = false;
            if (item is null)
            {
                Skip(parser);
            }
        }

        if (whole)
        {
            settings.Add(new(key, ConfigText.List(items), place));
        }
    }

    private ConfigText ReadMapping(Parser parser)
    {
        parser.Consume<MappingStart>();
        var keys = new List<ConfigSetting>();
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            ReadSetting(parser, keys, inList: true);
        }

        return ConfigText.Mapping(keys.Select(key => (key.Name, key.Text)));
    }

    /// <summary>Skips a wrong value. The parser takes quadratic time for deep nesting, so depth is limited.</summary>
    private static void Skip(Parser parser)
    {
        var depth = 0;
        do
        {
            depth += parser.Current?.NestingIncrease ?? 0;
            if (depth > DeepestNesting)
            {
                throw new YamlException(parser.Current!.Start, parser.Current.End, $"nested more than {DeepestNesting} deep");
            }

            parser.MoveNext();
        }
        while (depth > 0);
    }

    private static bool IsNull(ParsingEvent? item) =>
        item is Scalar { Style: ScalarStyle.Plain, Value: "" or "~" or "null" or "Null" or "NULL" };

    private static string Flat(string section) =>
        ConfigKeys.All.FirstOrDefault(key => key.Section == section || key.Name.StartsWith(section + '_', StringComparison.Ordinal))?.Name ?? "key";

    private void Problem(ParsingEvent? at, string what) => problems.Add($"{path} line {at?.Start.Line}: {what}");
}
