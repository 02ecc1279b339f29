using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using CutoffLen.Cli.Commands;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Common;

namespace CutoffLen.Cli;

/// <summary>The root command and what happens to a line that does not parse.</summary>
internal static class CommandLine
{
    private const string Description =
        """
        Extends and measures the context limit of LLaMA-type models.

        Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 something given is wrong, 2 a bug.
        """;

    /// <summary>Every verb, in the order of <c>cutoff --help</c>.</summary>
    public static RootCommand Create()
    {
        var root = new RootCommand(Description)
        {
            InspectCommand.Create(),
            InitCommand.Create(),
            PlanCommand.Create(),
            FinetuneCommand.Create(),
            VerifyResumeCommand.Create(),
            RunsCommand.Create(),
            MergeCommand.Create(),
            ExportCommand.Create(),
            TokenizeCommand.Create(),
            EvalPplCommand.Create(),
            SweepCommand.Create(),
            ReproduceCommand.Create(),
            PasskeyCommand.Create(),
            SummarizeCommand.Create(),
            RulerCommand.Create(),
            PosGenCommand.Create(),
            DemoCommand.Create(),
            EnvCommand.Create(),
            CheckCommand.Create(),
            ScoreCommand.Create(),
            GenerateCommand.Create(),
            RopeCommand.Create(),
            CommonOptions.Verbose,
            CommonOptions.Quiet,
        };
        // The library's own also answers to -? and Windows' /h, which only clutter completion.
        root.Options.Remove(root.Options.OfType<HelpOption>().Single());
        root.Add(new HelpOption("--help", "-h") { Description = "Show help." });
        root.Options.OfType<VersionOption>().Single().Description = "Show the version.";
        return root;
    }

    /// <summary>Runs one command line to its exit code.</summary>
    public static ExitCodes Run(string[] args, Terminal terminal, Interruption interruption)
    {
        try
        {
            // '@name' is text like any other, not a file with arguments.
            var parsed = Create().Parse(args.Length == 0 ? ["--help"] : args, new ParserConfiguration { ResponseFileTokenReplacer = null });
            return parsed.Action is ParseErrorAction ? Refuse(parsed, terminal) : (ExitCodes)parsed.InvokeAsync(terminal, interruption.Token).GetAwaiter().GetResult();
        }
        catch (Exception failure)
        {
            return Report(failure, interruption, terminal);
        }
        finally
        {
            Logging.Stop();
        }
    }

    /// <summary>What all ranks failed at is said by rank 0, what one rank failed at by that rank.</summary>
    private static ExitCodes Report(Exception failure, Interruption interruption, Terminal terminal)
    {
        var (code, world) = (Failure.Report(failure, interruption, terminal.Error), terminal.World);
        world.Fail((int)code, () =>
        {
            if (world.Ranks.Rank > 0)
            {
                Failure.Report(failure, interruption, Console.Error, $"cutoff, rank {world.Ranks.Rank} of {world.Ranks.Size} on {Environment.MachineName}");
            }
        });
        return code;
    }

    private static ExitCodes Refuse(ParseResult parsed, Terminal terminal)
    {
        foreach (var problem in Problems(parsed))
        {
            terminal.Error.WriteLine(problem);
        }

        return ExitCodes.UserError;
    }

    private static IEnumerable<string> Problems(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        var place = command is RootCommand ? "cutoff" : $"cutoff {PathOf(command)}";
        if (parsed.UnmatchedTokens.Count == 0)
        {
            return parsed.Errors.Select(error => $"{place}: {OneLine(error.Message)}");
        }

        // The library also says "required command was not provided" then, which only repeats it.
        return parsed.UnmatchedTokens.Select(token => $"{place}: {Unmatched(command, token)}");
    }

    private static string Unmatched(Command command, string token)
    {
        if (token.StartsWith('-'))
        {
            var options = command.Options.Concat(command.Parents.OfType<Command>().SelectMany(c => c.Options.Where(o => o.Recursive)));
            return Unknown("option", token, options);
        }

        return command.Subcommands.Count > 0
            ? Unknown("command", token, command.Subcommands)
            : $"unexpected argument '{token}'; see 'cutoff {PathOf(command)} --help'";
    }

    private static string Unknown(string kind, string token, IEnumerable<Symbol> symbols)
    {
        var names = symbols.Where(symbol => !symbol.Hidden).Select(symbol => symbol.Name).Distinct().ToList();
        return $"unknown {kind} '{token}'{Spelling.Suggest(token, names)}; {kind}s are {string.Join(", ", names)}";
    }

    private static string PathOf(Command command)
    {
        var parents = command.Parents.OfType<Command>().Where(parent => parent is not RootCommand);
        return string.Join(' ', parents.Select(parent => parent.Name).Append(command.Name));
    }

    private static string OneLine(string message) => message.ReplaceLineEndings(" ").Trim();
}
