using System.CommandLine;
using CutoffLen.Common;
using CutoffLen.Hardware;
using CutoffLen.Runs;

namespace CutoffLen.Cli;

/// <summary>
/// Options that mean the same in every verb. One instance each, shared by the commands that take it:
/// <c>new Command("score", "...") { CommonOptions.Model, CommonOptions.Json }</c>, then
/// <c>parsed.GetValue(CommonOptions.Json)</c>.
/// </summary>
internal static class CommonOptions
{
    /// <summary>A folder with a checkpoint in Hugging Face layout; required where taken.</summary>
    public static Option<string> Model { get; } = new("--model", "-m")
    {
        Description = "Folder of a LLaMA-type checkpoint in Hugging Face layout.",
        HelpName = "DIR",
        Required = true,
    };

    /// <summary>A position method in the spec grammar; <c>auto</c> reads the checkpoint's own.</summary>
    public static Option<string> Rope { get; } = new("--rope")
    {
        Description = "Position method, METHOD[:key=value,...][+MODIFIER[:...]]; see 'cutoff rope list'.",
        HelpName = "SPEC",
        DefaultValueFactory = _ => "auto",
    };

    /// <summary><c>auto</c>, <c>cpu</c>, <c>cuda</c> or <c>cuda:N</c>.</summary>
    public static Option<string> Device { get; } = new("--device")
    {
        Description = "Where the model lives: auto, cpu, cuda or cuda:N.",
        HelpName = "DEVICE",
        DefaultValueFactory = _ => "auto",
        CompletionSources = { "auto", "cpu", "cuda" },
    };

    /// <summary><c>auto</c>, <c>fp32</c> or <c>bf16</c>.</summary>
    public static Option<string> Dtype { get; } = new("--dtype")
    {
        Description = "Number format of the model: auto, fp32 or bf16.",
        HelpName = "DTYPE",
        DefaultValueFactory = _ => "auto",
        CompletionSources = { "auto", "fp32", "bf16" },
    };

    /// <summary><c>auto</c>, <c>sdpa</c> or <c>blocked</c>.</summary>
    public static Option<string> Attention { get; } = Word(
        "--attention", "What computes plain causal attention: sdpa (libtorch's), blocked (ours), or auto, the faster one.", "PATH", "auto", "sdpa", "blocked");

    /// <summary>CPU threads of one operation; 0 is one a core, or what OMP_NUM_THREADS says.</summary>
    public static Option<int> Threads { get; } = Whole("--threads", "CPU threads; 0: OMP_NUM_THREADS where set, else one a core.", 0, 4096, 0);

    /// <summary>Seed of every random draw.</summary>
    public static Option<int> Seed { get; } = Whole("--seed", "Seed of every random draw.", 0, int.MaxValue, 0);

    /// <summary>The result as one JSON value on stdout, nothing else there.</summary>
    public static Option<bool> Json { get; } = Flag("Print the result as JSON.", "--json");

    /// <summary>Debug messages too; on every verb.</summary>
    public static Option<bool> Verbose { get; } = Global(Flag("Log more.", "--verbose", "-v"));

    /// <summary>Only warnings and errors; on every verb.</summary>
    public static Option<bool> Quiet { get; } = Global(Flag("Log warnings and errors only.", "--quiet", "-q"));

    /// <summary>
    /// The device and dtype of a command that takes <see cref="Device"/>, <see cref="Dtype"/> and <see cref="Threads"/>;
    /// loads libtorch and sets its threads.
    /// </summary>
    /// <exception cref="UserException">See <see cref="DeviceAndDtype.Choose(string, string)"/>.</exception>
    public static DeviceAndDtype GetCompute(this ParseResult parsed)
    {
        var compute = DeviceAndDtype.Choose(parsed.GetValue(Device)!, parsed.GetValue(Dtype)!);
        CpuThreads.Use(parsed.GetValue(Threads));
        return compute;
    }

    /// <summary>The model that <see cref="Model"/> names, where the options say.</summary>
    public static ModelSession OpenModel(this ParseResult parsed) => ModelSession.Open(
        parsed.GetValue(Model)!, parsed.GetCompute, parsed.GetResult(Attention) is null ? "auto" : parsed.GetValue(Attention)!);

    /// <summary>An option without a value, so that completion goes on with the next word.</summary>
    public static Option<bool> Flag(string description, string name, params string[] aliases) =>
        new(name, aliases) { Description = description, Arity = ArgumentArity.Zero };

    /// <summary>A whole number from <paramref name="least"/> to <paramref name="most"/>.</summary>
    public static Option<int> Whole(string name, string description, int least, int most, int standard) =>
        Parsed(name, description, "N", standard, text =>
            int.TryParse(text, out var number) && number >= least && number <= most
                ? number
                : throw new UserException(most == int.MaxValue
                    ? $"'{text}' is not a whole number of at least {least}"
                    : $"'{text}' is not a whole number from {least} to {most}"));

    /// <summary>One of a few words, the first where it is not given.</summary>
    public static Option<string> Word(string name, string description, string helpName, params string[] words)
    {
        var option = Parsed(name, description, helpName, words[0], text => words.Contains(text.ToLowerInvariant())
            ? text.ToLowerInvariant()
            : throw new UserException($"'{text}' is not one of {string.Join(", ", words)}"));
        option.CompletionSources.Add(words);
        return option;
    }

    /// <summary>An optional option read by <paramref name="parse"/>, whose UserException becomes the parse error.</summary>
    public static Option<T> Parsed<T>(string name, string description, string helpName, T standard, Func<string, T> parse)
    {
        var option = Parsed(name, description, helpName, parse);
        option.DefaultValueFactory = _ => standard;
        return option;
    }

    /// <summary>An option without default read by <paramref name="parse"/>, whose UserException becomes the parse error.</summary>
    public static Option<T> Parsed<T>(string name, string description, string helpName, Func<string, T> parse) => new(name)
    {
        Description = description,
        HelpName = helpName,
        Arity = ArgumentArity.ExactlyOne,
        CustomParser = result =>
        {
            try
            {
                return parse(result.Tokens[0].Value);
            }
            catch (UserException problem)
            {
                result.AddError($"{name}: {problem.Message}");
                return default;
            }
        },
    };

    private static Option<bool> Global(Option<bool> option)
    {
        option.Recursive = true;
        return option;
    }
}
